"""Segments in order and beside each other: sorting, duplicates, overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.ops.timeline.drafts import Draft, RepairLog


def order_and_trim(drafts: Sequence[Draft], step_ms: int, log: RepairLog) -> list[Draft]:
    """Rule 3 of `timeline`: drafts sorted, none twice, none overlapping another. Takes n·log n."""
    unique = _without_duplicates(_sorted(drafts, log), log)
    return _flattened(unique, step_ms, log)


def _sorted(drafts: Sequence[Draft], log: RepairLog) -> list[Draft]:
    order = sorted(range(len(drafts)), key=lambda index: drafts[index].start_ms)
    rank = {index: position for position, index in enumerate(order, 1)}
    latest = -1
    for index, draft in enumerate(drafts):
        if draft.start_ms < latest:
            log.add(draft.number, "reordered", {"position": index + 1}, {"position": rank[index]})
        latest = max(latest, draft.start_ms)
    return [drafts[index] for index in order]


def _without_duplicates(drafts: Sequence[Draft], log: RepairLog) -> list[Draft]:
    seen: dict[object, Draft] = {}
    for draft in drafts:
        key = (draft.start_ms, draft.end_ms, draft.content)
        if key in seen:
            log.add(draft.number, "dropped_duplicate", draft.summary, {"same_as": seen[key].number})
        else:
            seen[key] = draft
    return list(seen.values())


def _flattened(drafts: Sequence[Draft], step_ms: int, log: RepairLog) -> list[Draft]:
    """Overlaps resolved like sheets of paper laid on each other in order of their starts."""
    # Of the same start the longest lies lowest; of the same span the one said first lies on top.
    order = sorted(range(len(drafts)), key=lambda index: (drafts[index].start_ms, -drafts[index].end_ms, -index))
    pieces: dict[int, list[tuple[int, int]]] = {index: [] for index in order}
    open_sheets: list[int] = []  # the topmost last; each ends later than the ones above it
    reached = 0

    def uncover(until_ms: int) -> None:
        nonlocal reached
        while open_sheets and reached < until_ms:
            index = open_sheets[-1]
            end_ms = min(drafts[index].end_ms, until_ms)
            is_rest = bool(pieces[index])
            if end_ms > reached and not (is_rest and end_ms - reached <= step_ms):
                pieces[index].append((reached, end_ms))
            if drafts[index].end_ms <= until_ms:
                open_sheets.pop()
            reached = max(reached, end_ms)

    for index in order:
        uncover(drafts[index].start_ms)
        reached = drafts[index].start_ms
        while open_sheets and drafts[open_sheets[-1]].end_ms <= drafts[index].end_ms:
            open_sheets.pop()
        open_sheets.append(index)
    uncover(max((draft.end_ms for draft in drafts), default=0))
    cut = [piece for index in range(len(drafts)) for piece in _cut(drafts[index], pieces[index], log)]
    return sorted(cut, key=lambda draft: draft.start_ms)


def _cut(draft: Draft, spans: Sequence[tuple[int, int]], log: RepairLog) -> list[Draft]:
    """The draft's uncovered spans as drafts of their own."""
    if not spans:
        log.add(draft.number, "dropped_overlap", draft.summary, None)
        return []
    cuts = [replace(draft, start_ms=start_ms, end_ms=end_ms) for start_ms, end_ms in spans]
    if len(cuts) == 1:
        if cuts[0].span_s != draft.span_s:
            log.add(draft.number, "trimmed_overlap", draft.span_s, cuts[0].span_s)
        return cuts
    log.add(draft.number, "split_contained", draft.span_s, [piece.span_s for piece in cuts])
    return _boxes_to_one(cuts, log)


def _boxes_to_one(cuts: Sequence[Draft], log: RepairLog) -> list[Draft]:
    """Boxes belong to one moment: they stay with the piece around it, or with the first when none is."""
    seen_s = cuts[0].bbox_t_s
    if seen_s is None:
        return list(cuts)
    holder = next((at for at, piece in enumerate(cuts) if piece.start_ms <= seen_s * 1000 < piece.end_ms), 0)
    log.add(cuts[0].number, "moved_boxes", [piece.span_s for piece in cuts], cuts[holder].span_s)
    return [piece if at == holder else without_boxes(piece) for at, piece in enumerate(cuts)]


def without_boxes(draft: Draft) -> Draft:
    """The same segment with its objects' names only."""
    return replace(
        draft,
        objects=tuple(item.model_copy(update={"bbox": None}) for item in draft.objects),
        model_boxes=(None,) * len(draft.objects),
        bbox_t_s=None,
    )
