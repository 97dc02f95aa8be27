"""The largest sizes and counts of a release. artifacts/README.md states them, and a release beyond one is refused.

They are far above what published releases have, and small enough that no release can fill the memory.
"""

MOST_MANIFEST_BYTES = 16 << 20
"""The largest manifest.json."""
MOST_SETTINGS_BYTES = 16 << 20
"""The largest config.json, tokenizer_config.json and special_tokens_map.json; 100,000 labels twice have 8 MB."""
MOST_TOKENIZER_BYTES = 64 << 20
"""The largest tokenizer.json; that of a vocabulary of 250,000 entries has 17 MB."""
MOST_JSON_VALUES = 2_000_000
"""The most values in a JSON file; a vocabulary of 250,000 entries with as many merges has 1,000,000."""
MOST_LEVELS = 64
"""The most levels of objects and lists inside each other in a JSON file."""
MOST_FILES = 10_000
"""The most files."""
MOST_FILE_BYTES = 1 << 40
"""The largest file."""
MOST_PATH_BYTES = 1_024
"""The longest path of a file inside the release, in UTF-8."""
MOST_PATH_NAME_BYTES = 255
"""The longest name of a file or folder, in UTF-8; file systems have this limit too."""
MOST_PATH_NAMES = 16
"""The most names that a path may have."""
MOST_FOLDER_ENTRIES = 100_000
"""The most files and folders in a release's folder, unlisted ones included."""
MOST_VARIANTS = 1_000
"""The most variants, and the most withheld ones."""
MOST_ENTRIES = 1_000
"""The most entries of each list and mapping in a variant, and of the provenance's tools."""
MOST_LABELS = 100_000
"""The most labels."""
MOST_NAME_CHARACTERS = 200
"""The longest name: of the release, a head, a target, a precision, an input, an output or an axis."""
MOST_TEXT_CHARACTERS = 10_000
"""The longest label, note and reason."""
MOST_TENSORS = 16
"""The most inputs, the most outputs, the most dimensions of one, and the most spans."""
MOST_SIZE = 1_000_000
"""The largest size of a dimension, and the largest number of tokens in the smallest batch."""
MOST_SAMPLES = 1_000_000
"""The most timed runs of a measurement."""
LEAST_SECONDS = 1e-9
"""The shortest time of a run that is not 0."""
MOST_SECONDS = 1e6
"""The longest time of a run."""
