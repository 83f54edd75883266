"""What the panel edits, without its widgets: arguments, folders, the grants of the next run."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasilab import Grants
from wasilab.grants.value import GrantError
from wasilab.panels.chooser import likely_folder
from wasilab.panels.model import PanelModel

from .panels import READER


def test_the_arguments_of_the_next_run_are_edited_as_words(folder: Path) -> None:
    model = PanelModel(READER.module(), Grants(), ("one",))
    changes: list[int] = []
    model.changed = lambda: changes.append(1)
    model.set_arguments("--verbose 'my file.txt' \"$HOME\"")
    assert model.args == ("--verbose", "my file.txt", "$HOME"), "words are split, and nothing is expanded"
    model.set_arguments("--verbose 'my file.txt' '$HOME'")
    assert changes == [1], "the same words are no change"
    with pytest.raises(GrantError, match="cannot be split into words: No closing quotation"):
        model.set_arguments("'open")
    assert model.args == ("--verbose", "my file.txt", "$HOME")
    assert model.start(detach=False).args == model.args
    model.set_arguments("")
    assert model.args == ()


@pytest.mark.parametrize(
    ("looked_for", "expected"),
    [
        ("/data/a.txt", "data"), ("data/a.txt", "data"), ("/srv/data/a.txt", "data"), ("/data/none", "data"),
        ("/none/x", ""), ("a.txt", ""), ("../data/a.txt", ""), ("", ""), ("/", ""), ("a\0b/c", ""),
    ],
)  # fmt: skip
def test_the_folder_that_a_path_points_to_is_proposed(folder: Path, looked_for: str, expected: str) -> None:
    assert likely_folder(looked_for) == (str(folder / expected) if expected else "")
