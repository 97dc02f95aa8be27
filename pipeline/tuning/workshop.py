"""From a plan to a session that answers, as a build and an application would make it."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from distilforge.backends import backends
from distilforge.manifest import Manifest, Variant
from distilforge.session import Loaded, Session
from distilforge.tokenizer import Tokenizer

from pipeline import assemble, calibration, collector, graph, stages, storage, variants
from pipeline.compile import Target
from pipeline.errors import in_stage
from pipeline.interface import Interface
from pipeline.plan import Plan
from pipeline.quantize import Calibration, when_asked
from pipeline.quantize.parts import choose
from pipeline.recipe import Recipe
from pipeline.tuning.space import key
from pipeline.work import Stage
from validation.tasks.base import Served

# Compiled plans kept on the disk: others often differ from the best in the session's settings only.
MOST_KEPT = 4


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
        source: stages.Source,
        exported: Stage,
        target: Target,
        precision: str,
        *,
        threads: int,
        folder: Path,
    ) -> None:
        self.interface = Interface.read(exported.folder / stages.INTERFACE)
        self._graph = exported.folder / stages.GRAPH
        self._target, self._precision, self._threads = target, precision, threads
        self._recipe, self._source = recipe, source
        self._folder = folder / "variants"
        self._kept: OrderedDict[str, Variant] = OrderedDict()
        release = folder / "release"
        release.mkdir(parents=True)
        manifest = assemble.assemble(
            name=recipe.name,
            checkpoint=source.checkpoint,
            checkpoint_sha256=source.digest,
            recipe_sha256=recipe.digest,
            interface=self.interface,
            compiled=(),
            folder=release,
        )
        config = source.checkpoint.configuration()
        self.served = Served(manifest=manifest, tokenizer=Tokenizer(release), vocabulary=config.vocab_size)

    @property
    def modules(self) -> tuple[str, ...]:
        """What could be quantized, by Hugging Face's names."""
        chosen = choose.choose(graph.load(self._graph), ())
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
        """Build and load `plan`; raises what a build raises for a plan that cannot be."""
        with in_stage("tune"):
            variant, folder = self._compiled(plan)
            variant = replace(variant, session=plan.session)
            backend = backends.get(self._target.name)
            assert backend is not None, self._target.name
            engine = backend.load(variant, folder, providers=None, threads=self._threads)
        manifest: Manifest = replace(self.served.manifest, variants=(variant,))
        loaded = Loaded(
            manifest=manifest,
            variant=variant,
            engine=engine,
            tokenizer=self.served.tokenizer,
            vocabulary=self.served.vocabulary,
        )
        return Opened(variant=variant, session=Session(loaded))

    def _compiled(self, plan: Plan) -> tuple[Variant, Path]:
        name = key(replace(plan, session={}))
        folder = self._folder / name
        if name not in self._kept:
            storage.empty(folder)
            self._kept[name] = self._compile(plan, folder)
        self._kept.move_to_end(name)
        while len(self._kept) > MOST_KEPT:
            dropped, _ = self._kept.popitem(last=False)
            storage.remove(self._folder / dropped)
        return self._kept[name], folder

    @collector.paused()
    def _compile(self, plan: Plan, folder: Path) -> Variant:
        feeds = when_asked(lambda: self.calibration)
        return variants.make(self._graph, plan, feeds, self._target, self._precision, folder)
