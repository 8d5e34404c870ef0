"""The split that each word of a column stands for: train, val and test by name, or ids of folds."""

from tsmtl.config.data_settings import FoldId
from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS

OTHER_WORDS = ("valid", "validation", "dev", "training", "testing")  # for splits; one word each is enough


def split_of_words(
    key: str, words: list[str], test_fold: FoldId | None, val_fold: FoldId | None, where: str
) -> list[str]:
    """Say which split each word belongs to.

    Args:
        key: Name of the column or array.
        words: The different words in it.
        test_fold: Id or ids of the test split, where the words are ids of folds.
        val_fold: Id or ids of the val split, likewise.
        where: The file, for messages.

    Raises:
        UserError: If the words are neither, or the folds named are not among them.
    """
    if set(words) <= set(SPLITS):
        if test_fold is not None or val_fold is not None:
            raise UserError(f"{where}: '{key}' gives train/val/test itself; leave out data.test_fold and data.val_fold")
        return list(words)
    if test_fold is None:
        if any(word.lower() in {*SPLITS, *OTHER_WORDS} for word in words):
            said = ", ".join(words[:10])
            raise UserError(f"{where}: '{key}' holds {said}; the words of a split are train, val and test")
        raise UserError(
            f"{where}: '{key}' holds fold ids ({', '.join(words[:10])}); name the one to test on with data.test_fold"
        )
    chosen: dict[str, set[str]] = {}
    for split, folds in (("test", test_fold), ("val", val_fold)):
        ids = [] if folds is None else folds if isinstance(folds, list) else [folds]
        chosen[split] = {str(fold) for fold in ids}
        if unknown := chosen[split] - set(words):
            raise UserError(
                f"data.{split}_fold: '{key}' has no fold {', '.join(sorted(unknown))}; it has {', '.join(words[:20])}"
            )
    if both := chosen["test"] & chosen["val"]:
        raise UserError(f"data.val_fold: fold {', '.join(sorted(both))} is the test fold too")
    return ["test" if word in chosen["test"] else "val" if word in chosen["val"] else "train" for word in words]
