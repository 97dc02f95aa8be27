"""The commands that show whether a release can be trusted: by its digests, its signature, and a second build."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import typer
from distilforge import release as releases
from distilforge.release import MANIFEST
from distilforge.trust.opening import verify_trusted

from pipeline.cli import build_options, display, options
from pipeline.cli.build_options import BuildArguments
from pipeline.cli.reporting import report_errors, show_error
from pipeline.errors import EXPECTED, UsageError, exit_code, worst
from pipeline.recipe.recipe import Recipe
from pipeline.release import signing
from pipeline.release.signing import Signer
from pipeline.store import digests


def sign(
    release: options.Release,
    key: options.PrivateKey,
    certificate: options.Certificates = None,
    order: options.Order = None,
    verbose: options.Verbose = False,
) -> None:
    """Sign every file of a release, the manifest too, as OpenSSF's model signing does; print the signature's path."""
    with report_errors(verbose):
        folder = releases.resolve(release)
        signing.sign(folder, Signer(key=key, certificates=tuple(certificate or ()), order=order))
        display.result(str(folder / releases.SIGNATURE))


def verify(release: options.Releases, key: options.TrustedKey = None) -> None:
    """Check every file of releases against its SHA-256, and their signatures with --key; exit 4 if one differs.

    A release that is damaged or not trusted does not keep the others from being checked.
    """
    with report_errors() as listener:
        failures = []
        for path in release:
            try:
                _verify(path, key)
            except EXPECTED as error:
                # An error names its file, which may have the same name in every release
                show_error(error, listener, verbose=False, about=str(path) if len(release) > 1 else "")
                failures.append(exit_code(error))
    if failures:
        raise typer.Exit(worst(failures))


def _verify(path: Path, key: Path | None) -> None:
    folder = releases.resolve(path)
    if key is None:
        manifest, signer = releases.verify(folder), ""
    else:
        trusted = verify_trusted(folder, key)
        manifest, signer = trusted.manifest, f", signed by {trusted.signer}"
    display.result(f"{folder}: {len(manifest.files)} files, all as published{signer}")
    display.result(f"{MANIFEST}: SHA-256 {digests.of_file(folder / MANIFEST)}")


def rebuild(
    release: options.Release,
    arguments: BuildArguments,
    recipe: options.Recipe = None,
    checkpoint: options.Origin = None,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Build a release again from its checkpoint and recipe, and say which files have the same bytes.

    Give the options that `distilforge build` was given. Another checkpoint or recipe is refused by its digest.

    Reports and cards hold measurements and are not compared. Exit 5 if a file differs.
    """
    with report_errors(verbose) as listener:
        from pipeline import rebuild as again

        folder = releases.resolve(release)
        with build_options.naming_flags(arguments):
            result = again.rebuild(folder, _recipe(folder, recipe, checkpoint, arguments), listener)
        if as_json:
            display.result(json.dumps(asdict(result), ensure_ascii=False))
        else:
            display.table(again.COLUMNS, [(file.name, file.outcome) for file in result.files])
        again.judge(result)
        listener.note(f"{result.compared} files, all with the same bytes")


def _recipe(folder: Path, recipe: Path | None, checkpoint: str | None, arguments: BuildArguments) -> Recipe:
    """The recipe of the options; the release's name is the default."""
    if recipe is not None:
        base = build_options.recipe(str(recipe), arguments)
        return base if checkpoint is None else replace(base, checkpoint=checkpoint)
    if checkpoint is None:
        raise UsageError(
            "a release does not hold the checkpoint and the recipe that it was built from",
            hint="give --recipe, or --checkpoint with the options of `distilforge build`",
        )
    name = arguments.name or releases.read_manifest(folder).name
    return build_options.recipe(checkpoint, replace(arguments, name=name))
