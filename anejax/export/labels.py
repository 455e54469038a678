"""The classes of an exported classifier: their names, and the output with their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from anejax.core.aval import Aval
from anejax.errors import ExportError, fail
from anejax.export.ports import check_text, chosen

PROBABILITIES = "_probs"  # Core ML names the dictionary of probabilities like the label, with this at the end


@dataclass(frozen=True)
class Labels:
    """The classes that an output of a function has probabilities of.

    A Core ML package then has two outputs instead of that one: ``predicted``, the label of the largest probability, and
    ``predicted`` + "_probs", a dictionary from labels to probabilities. These are the outputs that coremltools'
    ``ClassifierConfig`` makes. Core AI has no classifiers: there the output stays, and the asset's metadata has the
    labels, which ``AIModel.labels`` reads.

    Args:
        names: a label for each element of the output, in that order: strings, or integers of 64 bits; no two are equal.
            In Core AI the output may have several rows of such elements.
        output: the name of the output, an array of floats; None if the function has only one.
        predicted: the name of the output of Core ML that is the label.

    Example:
        >>> import anejax as aj
        >>> aj.export.Labels(("cat", "dog"), output="probabilities").predicted
        'classLabel'
    """

    names: Sequence[str] | Sequence[int]
    output: str | None = None
    predicted: str = "classLabel"

    @property
    def probabilities(self) -> str:
        """The name of Core ML's output that is the dictionary of probabilities."""
        return self.predicted + PROBABILITIES


def checked(labels: Labels | Sequence[str] | Sequence[int] | None) -> Labels | None:
    """``labels`` as Labels with a tuple of names. Raises ExportError for invalid names."""
    if labels is None:
        return None
    if isinstance(labels, str) or not isinstance(labels, (Labels, Sequence)):
        fail("export", f"expected labels to be a list of strings or integers, or Labels, got {labels!r:.60}",
             ExportError)  # fmt: skip
    labels = labels if isinstance(labels, Labels) else Labels(labels)
    if isinstance(labels.names, str) or not isinstance(labels.names, Sequence):
        fail("export", f"expected the names of Labels to be a list of strings or integers, got {labels.names!r:.60}",
             ExportError)  # fmt: skip
    names = tuple(labels.names)
    if not names:
        fail("export", "expected one label at least, got none", ExportError)
    for name in names:
        same = isinstance(name, (str, int)) and isinstance(name, str) == isinstance(names[0], str)
        if not same or isinstance(name, bool):
            fail("export", f"expected labels that are all strings or all integers, got {name!r:.60} "
                 f"({type(name).__name__}) among them", ExportError)  # fmt: skip
        if isinstance(name, str):
            check_text("a label", name)
        elif not -(2**63) <= name < 2**63:
            fail("export", f"expected labels that are integers of 64 bits, got {name}", ExportError)
    twice = sorted(str(name) for name in {*names} if names.count(name) > 1) if len({*names}) < len(names) else []
    if twice:
        fail("export", f"expected labels that differ, got {twice[0]!r} twice: probabilities are told apart by their "
             "labels", ExportError)  # fmt: skip
    return replace(labels, names=names)


def check_one_row(labels: Labels, aval: Aval) -> None:
    """Raises ExportError where the output that ``labels`` are of has several rows."""
    if aval.size != len(labels.names):
        fail("export", f"expected the output {labels.output} to have one probability for each of the "
             f"{len(labels.names)} labels, since Core ML's classifiers have no batches, got {aval}",
             ExportError)  # fmt: skip


def found(labels: Labels | None, outputs: Mapping[str, Aval], others: Sequence[str]) -> Labels | None:
    """``labels`` with the name of its output among ``outputs``; ``others`` are the names of the other ports.

    Raises ExportError where there is no such output, or it has another number of elements than there are labels.
    """
    if labels is None:
        return None
    names = list(outputs)
    if labels.output is None and len(names) > 1:
        fail("export", f"expected labels to say which of the outputs {', '.join(names)} has the probabilities: "
             f"labels=aj.export.Labels(names, output={names[0]!r})", ExportError)  # fmt: skip
    output = names[0] if labels.output is None else labels.output
    if output not in outputs:
        fail("export", f"expected labels of one of the outputs {', '.join(names)}, got {output!r}", ExportError)
    aval = outputs[output]
    count = len(labels.names)
    if aval.dtype.kind != "f" or count not in (aval.size, *aval.shape[-1:]):
        fail("export", f"expected the output {output} to be floats, one for each of the {count} labels, got {aval}",
             ExportError)  # fmt: skip
    taken = [*others, *(name for name in names if name != output)]
    chosen("label", [labels.predicted, labels.probabilities], ["classLabel", "classLabel_probs"], taken)
    return replace(labels, output=output)
