from lrgd.evals.data.sample import SHOP, sample_world


def test_the_shop_reads_like_one() -> None:
    world = sample_world()
    assert len(world.items) == 600
    for item in world.items.values():
        department, kind, style = item.categories
        assert item.brand in SHOP[department].brands
        assert item.brand in item.title
        assert kind in item.title
        assert style in item.title
    assert len({item.title for item in world.items.values()}) > 590


def test_histories_predict_the_next_purchase_but_not_perfectly() -> None:
    world = sample_world()
    hits = []
    for sequence in world.sequences.values():
        *past, target = (world.items[i] for i in sequence)
        brands = {item.brand for item in past[-5:]}
        hits.append(target.brand in brands)
    share = sum(hits) / len(hits)
    # By chance 5 of 32 brands: at most 0.16.
    assert 0.4 < share < 0.95


def test_nobody_buys_a_thing_twice_and_lengths_are_as_said() -> None:
    sequences = sample_world().sequences.values()
    assert all(len(s) == len(set(s)) for s in sequences)
    assert all(8 <= len(s) <= 30 for s in sequences)
