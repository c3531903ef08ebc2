"""What a command leaves behind: records, old and new, and what went wrong."""

from dataclasses import dataclass, field

from ..results import Record


@dataclass
class Outcome:
    """Records of all tasks asked for, and what went wrong with the others."""

    records: list[Record] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # task, or tasks of a pass -> message
    refused: set[str] = field(default_factory=set)  # those of the failures whose reason is the user's input or settings

    @property
    def exit_code(self) -> int:
        """2 where nothing came out, for bad input alone; 1 for any other failure."""
        bad_input_only = not self.records and self.refused == set(self.failures)
        return (2 if bad_input_only else 1) if self.failures else 0

    def add(self, part: 'Outcome', model: str) -> None:
        """Takes over the outcome of one of several models, whose name goes before the titles of its failures."""
        self.records += part.records
        self.failures |= {f'{model} {title}': message for title, message in part.failures.items()}
        self.refused |= {f'{model} {title}' for title in part.refused}
