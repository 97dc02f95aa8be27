"""Builds plans: compiled as a build compiles them, and opened as an application opens them."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from distilforge.benchmark.variant import usual_choices
from distilforge.manifest import Variant
from distilforge.session import Session
from distilforge.timing.subject import Subject
from distilforge.tokenizer import Tokenizer

from pipeline.errors import in_stage
from pipeline.graph import collector
from pipeline.graph import file as graph_file
from pipeline.graph.interface import Interface
from pipeline.precision import Batches, lazy_calibration
from pipeline.precision.layers import choose
from pipeline.recipe.plan import Plan
from pipeline.recipe.recipe import Recipe
from pipeline.release import assemble
from pipeline.stages import calibration, transform
from pipeline.stages.export import GRAPH, INTERFACE
from pipeline.stages.load import Source
from pipeline.store import storage
from pipeline.store.work import Stage
from pipeline.targets import Target
from pipeline.tuning import subject as subjects
from pipeline.tuning.space import plan_key
from validation.tasks.base import ReleaseReader

# Compiled plans on the disk. Several are kept, since many plans only differ from the best in the session's settings.
MOST_COMPILED = 4
# A thread of this process that spins would take a core from the processes that are timed. No answer depends on it.
_NO_SPINNING = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSession:
    """A plan that was built and opened."""

    variant: Variant
    """The manifest's entry for the compiled plan."""
    session: Session
    """The open session, which does not spin."""


class PlanBuilder:
    """Builds plans for one checkpoint, target and precision in `folder`, which nothing else may use."""

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        exported: Stage,
        target: Target,
        precision: str,
        *,
        threads: int,
        folder: Path,
    ) -> None:
        self.interface = Interface.read(exported.folder / INTERFACE)
        self._graph = exported.folder / GRAPH
        self._target, self._precision, self._threads = target, precision, threads
        self._recipe, self.source = recipe, source
        self._folder = folder / "variants"
        self._records = folder / "records"
        self._records.mkdir(parents=True)
        self._compiled: OrderedDict[str, Variant] = OrderedDict()
        self._pinned: frozenset[str] = frozenset()
        self._release = folder / "release"
        self._release.mkdir()
        manifest = assemble.assemble(
            name=recipe.name,
            checkpoint=source.checkpoint,
            checkpoint_sha256=source.digest,
            recipe_sha256=recipe.digest,
            interface=self.interface,
            compiled=(),
            folder=self._release,
        )
        config = source.checkpoint.configuration()
        self.reader = ReleaseReader(
            manifest=manifest, tokenizer=Tokenizer(self._release), vocabulary=config.vocab_size
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """The Hugging Face names of the modules that can be quantized."""
        layers = choose.choose(graph_file.load(self._graph), ())
        names = [*(table.module for table in layers.tables), *(linear.module for linear in layers.linears)]
        return tuple(dict.fromkeys(name.removeprefix("distilbert.") for name in names))

    @cached_property
    def calibration(self) -> Batches:
        """The calibration batches; UsageError if the recipe and the demo do not have any for the head."""
        return calibration.feeds(
            self.source.checkpoint.root,
            self.interface.head,
            self.interface.spans,
            self._recipe.calibration,
        )

    def open(self, plan: Plan) -> PlanSession:
        """Build `plan` and open it in this process; raises the errors of a build for a plan that is impossible."""
        with in_stage("tune"):
            variant, folder = self._compile_once(plan)
            variant = replace(variant, session=plan.session)
            session = subjects.open_session(
                replace(variant, session={**plan.session, **_NO_SPINNING}),
                folder,
                manifest=self.reader.manifest,
                tokenizer=self.reader.tokenizer,
                threads=self._threads,
                vocabulary=self.reader.vocabulary,
            )
        return PlanSession(variant=variant, session=session)

    def subject(self, plan: Plan) -> Subject:
        """Build `plan`, to be timed in its own process under the name of its key; raises the errors of `open`."""
        with in_stage("tune"):
            variant, folder = self._compile_once(plan)
        record = self._records / f"{plan_key(plan)}.json"
        record.write_text(replace(variant, session=plan.session).to_json(), encoding="utf-8")
        return subjects.subject(
            plan_key(plan),
            variant=record,
            folder=folder,
            release=self._release,
            threads=self._threads,
            vocabulary=self.reader.vocabulary,
            choices=usual_choices(self.reader.manifest),
        )

    def pin(self, plans: Iterable[Plan]) -> None:
        """Keep the files of `plans` until the next call; the files of other plans may be removed."""
        self._pinned = frozenset(map(_files_key, plans))

    def _compile_once(self, plan: Plan) -> tuple[Variant, Path]:
        name = _files_key(plan)
        folder = self._folder / name
        if name not in self._compiled:
            storage.make_empty(folder)
            self._compiled[name] = self._compile(plan, folder)
        self._compiled.move_to_end(name)
        removable = [other for other in self._compiled if other != name and other not in self._pinned]
        for oldest in removable[: max(0, len(self._compiled) - MOST_COMPILED)]:
            del self._compiled[oldest]
            storage.remove(self._folder / oldest)
        return self._compiled[name], folder

    @collector.paused()
    def _compile(self, plan: Plan, folder: Path) -> Variant:
        feeds = lazy_calibration(lambda: self.calibration)
        return transform.make_variant(self._graph, plan, feeds, self._target, self._precision, folder)


def _files_key(plan: Plan) -> str:
    """The key of all plans that have the same files, since they only differ in the session's settings."""
    return plan_key(replace(plan, session={}))
