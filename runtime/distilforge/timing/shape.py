"""The size of a batch that is timed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shape:
    """Texts x tokens of one run, written `8x128`."""

    batch: int
    """Texts in the batch."""
    tokens: int
    """Tokens of each text, special tokens included."""

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """Parse a shape such as `8x128`.

        Raises ValueError if `text` is not two whole numbers of at least 1 with an x between them.
        """
        batch, _, tokens = text.partition("x")
        try:
            shape = cls(batch=int(batch), tokens=int(tokens))
        except ValueError:
            raise ValueError(f"a shape is texts x tokens, such as 8x128; found {text!r}") from None
        if shape.batch < 1 or shape.tokens < 1:
            raise ValueError(f"a shape needs at least 1 text and 1 token; found {text!r}")
        return shape

    def __str__(self) -> str:
        return f"{self.batch}x{self.tokens}"
