"""From a plan to a session that answers and to a subject of a timing, as builds and applications would make them."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from distilforge.manifest import Variant
from distilforge.session import Session
from distilforge.timing.subject import Subject
from distilforge.timing.variant import usual_choices
from distilforge.tokenizer import Tokenizer

from pipeline.errors import in_stage
from pipeline.graph import collector
from pipeline.graph import file as graph_file
from pipeline.graph.interface import Interface
from pipeline.precision import Calibration, when_asked
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
from pipeline.tuning.space import key
from validation.tasks.base import Served

# Compiled plans kept on the disk: others often differ from the best in the session's settings only.
MOST_KEPT = 4
# Threads that wait actively here would take cores from the processes that are timed; no answer depends on it
_QUIET = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A plan that was built and loaded."""

    variant: Variant
    session: Session


class Workshop:
    """Builds plans for one checkpoint, target and precision, in `folder`, which is its own."""

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
        self._recipe, self._source = recipe, source
        self._folder = folder / "variants"
        self._records = folder / "records"
        self._records.mkdir(parents=True)
        self._kept: OrderedDict[str, Variant] = OrderedDict()
        self._held: frozenset[str] = frozenset()
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
        self.served = Served(
            manifest=manifest, tokenizer=Tokenizer(self._release), vocabulary=config.vocab_size
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """What could be quantized, by Hugging Face's names."""
        chosen = choose.choose(graph_file.load(self._graph), ())
        found = [*(each.module for each in chosen.tables), *(each.module for each in chosen.linears)]
        return tuple(dict.fromkeys(name.removeprefix("distilbert.") for name in found))

    @cached_property
    def calibration(self) -> Calibration:
        """The calibration batches; UsageError where there are none."""
        return calibration.feeds(
            self._source.checkpoint.path,
            self.interface.head,
            self.interface.spans,
            self._recipe.calibration,
        )

    def open(self, plan: Plan) -> Opened:
        """Build and load `plan` for its answers; raises what a build raises for a plan that cannot be."""
        with in_stage("tune"):
            variant, folder = self._compiled(plan)
            variant = replace(variant, session=plan.session)
            session = subjects.load(
                replace(variant, session={**plan.session, **_QUIET}),
                folder,
                manifest=self.served.manifest,
                tokenizer=self.served.tokenizer,
                threads=self._threads,
                vocabulary=self.served.vocabulary,
            )
        return Opened(variant=variant, session=session)

    def subject(self, plan: Plan) -> Subject:
        """`plan`, built, to be timed in a process of its own; its name is the plan's key. Raises as `open` does."""
        with in_stage("tune"):
            variant, folder = self._compiled(plan)
        record = self._records / f"{key(plan)}.json"
        record.write_text(replace(variant, session=plan.session).to_json(), encoding="utf-8")
        return subjects.subject(
            key(plan),
            variant=record,
            folder=folder,
            release=self._release,
            threads=self._threads,
            vocabulary=self.served.vocabulary,
            choices=usual_choices(self.served.manifest),
        )

    def hold(self, plans: Iterable[Plan]) -> None:
        """Keep what was compiled of `plans`, and of no others for sure."""
        self._held = frozenset(map(_compiled_key, plans))

    def _compiled(self, plan: Plan) -> tuple[Variant, Path]:
        name = _compiled_key(plan)
        folder = self._folder / name
        if name not in self._kept:
            storage.empty(folder)
            self._kept[name] = self._compile(plan, folder)
        self._kept.move_to_end(name)
        droppable = [other for other in self._kept if other != name and other not in self._held]
        for dropped in droppable[: max(0, len(self._kept) - MOST_KEPT)]:
            del self._kept[dropped]
            storage.remove(self._folder / dropped)
        return self._kept[name], folder

    @collector.paused()
    def _compile(self, plan: Plan, folder: Path) -> Variant:
        feeds = when_asked(lambda: self.calibration)
        return transform.make_variant(self._graph, plan, feeds, self._target, self._precision, folder)


def _compiled_key(plan: Plan) -> str:
    """The name of all plans that differ in the session's settings only."""
    return key(replace(plan, session={}))
