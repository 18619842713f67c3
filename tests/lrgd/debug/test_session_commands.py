import pytest

from lrgd.core.errors import InputError
from lrgd.debug import COMMANDS, Command, parse


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("wants blue things", "write", ("wants blue things",)),
        ("//slash first", "write", ("/slash first",)),
        ("/step", "step", ()),
        ("  /STEP  ", "step", ()),
        ("/users mario kart", "users", ("mario kart",)),
        ("/users", "users", ()),
        ("/user 23044", "user", ("23044",)),
        ("/perturb from 2", "perturb", ("2",)),
        ("/perturb 2 on path 0", "perturb", ("2", "0")),
        ('/regularise "Be brief."', "regularise", ("Be brief.",)),
        ('/regularise ""', "regularise", ("",)),
        ("/order demonstration-first", "order", ("demonstration-first",)),
        ("/shuffle 8", "shuffle", ("8",)),
        ("/mode listwise", "mode", ("listwise",)),
        ("/why B00X over Game over Again", "why", ("B00X over Game", "Again")),
        ('/why "Crash over Time"', "why", ("Crash over Time",)),
        ('/why "Crash over Time" over "B over C"', "why", ("Crash over Time", "B over C")),
        ("/why B00X", "why", ("B00X",)),
        ("/prompt", "prompt", ()),
        ("/prompt generator 1", "prompt", ("generator", "1")),
        ("/prompt path 1", "prompt", ("1",)),
        ("/compare 3 12", "compare", ("3", "12")),
        ("/fork 3", "fork", ("3",)),
        ("/export out folder", "export", ("out folder",)),
        ("/case", "case", ()),
    ],
)
def test_lines_are_read(line: str, name: str, arguments: tuple[str, ...]) -> None:
    assert parse(line) == Command(name, arguments)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/pertub from 2", "no command /pertub; near it: /perturb"),
        ("/xyzzy", "no command /xyzzy; /help lists them"),
        ("/", "no command /"),
        ("/fork", "wanted /fork N"),
        ("/fork two", "wanted /fork N"),
        ("/step 3", "wanted /step"),
        ("/why", "wanted /why ITEM"),
        ("/perturb", "wanted /perturb from PATH"),
        ("/mode best", "wanted /mode decision|logprobs|listwise"),
        ("/regularise", "wanted /regularise"),
        ("/prompt writer", "wanted /prompt"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_is_near(line: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(line)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_command_has_its_line_of_help() -> None:
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)
    assert all(command.line and len(command.line) < 70 for command in COMMANDS)
