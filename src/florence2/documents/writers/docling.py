"""DoclingDocument as JSON, through docling-core: its loaders, exports and chunkers take it."""

from collections.abc import Iterable
from typing import Any, TextIO

from florence2.data.files import optional_library
from florence2.documents.structure import Block, Cell, Page, Table
from florence2.documents.writers.content import FURNITURE, one_line, printable, text_of
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.text import joint
from florence2.geometry import Box

_LABELS = {
    "caption": "caption",
    "header": "page_header",
    "footer": "page_footer",
}


def write_docling(pages: Iterable[Page], file: TextIO, options: WriterOptions) -> None:
    """Write pages as a DoclingDocument, which is whole in memory before it is written.

    Headers and footers are in its layer `furniture`, which exports and chunkers leave out. It has
    no place for scores. Follows `name`. Needs docling-core (`florence2[docling]`).

    Raises:
        DataError: docling-core is not installed.
    """
    document = docling_document(pages, options)
    file.write(document.model_dump_json(by_alias=True, exclude_none=True) + "\n")


def docling_document(pages: Iterable[Page], options: WriterOptions) -> Any:
    """The `DoclingDocument` of pages; places are in units of a page from its upper left corner."""
    maker = _Maker(one_line(options.name) or "document")
    for page in pages:
        maker.add_page(page)
    return maker.document


class _Maker:
    """Adds pages to a document."""

    def __init__(self, name: str) -> None:
        self._docling = optional_library("docling_core.types.doc", "docling")
        self.document = self._docling.DoclingDocument(name=name)
        self._page = Page(0, 1, 1)
        self._lists: list[tuple[int, Any, Any]] = []  # level, group, its last item
        self._paragraph: tuple[str, Any] | None = None  # the text and item of the block before
        self._captioned: Any = None  # a table or picture just before that may get its caption
        self._caption: Any = None  # a caption just before

    def add_page(self, page: Page) -> None:
        """Add a page and its blocks."""
        size = self._docling.Size(width=page.width, height=page.height)
        self.document.add_page(page_no=page.number, size=size)
        self._page = page
        for block in page.blocks:
            self._add(block)

    def _add(self, block: Block) -> None:
        if block.kind in FURNITURE:
            if text := text_of(block):
                self._text(block, text, content_layer=self._docling.ContentLayer.FURNITURE)
            return  # the list or paragraph around it goes on
        paragraph, self._paragraph = self._paragraph, None
        captioned, self._captioned = self._captioned, None
        caption, self._caption = self._caption, None
        if block.kind != "list item":
            self._lists.clear()
        text = text_of(block)
        if block.table is not None and block.table.cells:
            data = self._table(block.table)
            place = self._place(block, 0)
            self._captioned = self.document.add_table(data, caption=caption, prov=place)
        elif block.kind == "figure":
            self._captioned = self._figure(block, text, caption)
        elif not text:
            return
        elif block.kind == "heading":
            level = max(block.level, 1)
            self.document.add_heading(text, level=level, prov=self._place(block, len(text)))
        elif block.kind == "list item":
            self._item(block, text)
        elif block.kind == "caption":
            self._caption = self._text(block, text, parent=captioned)
            if captioned is not None:
                captioned.captions.append(self._caption.get_ref())
                self._caption = None
        elif block.continues and paragraph is not None:
            self._go_on(block, text, *paragraph)
        else:
            self._paragraph = text, self._text(block, text)

    def _text(self, block: Block, text: str, **where: Any) -> Any:
        label = self._docling.DocItemLabel(_LABELS.get(block.kind, "text"))
        return self.document.add_text(label, text, prov=self._place(block, len(text)), **where)

    def _go_on(self, block: Block, text: str, before: str, item: Any) -> None:
        start = item.text + joint(before)
        item.text = item.orig = start + text
        item.prov.append(self._place(block, len(item.text), len(start)))
        self._paragraph = text, item

    def _figure(self, block: Block, description: str, caption: Any) -> Any:
        picture = self.document.add_picture(caption=caption, prov=self._place(block, 0))
        if description:
            field = self._docling.DescriptionMetaField(text=description, created_by="florence2")
            picture.meta = self._docling.PictureMeta(description=field)
        return picture

    def _item(self, block: Block, text: str) -> None:
        """An item in the group of its list, which is one group for all of its items."""
        level = max(block.level, 1)
        while self._lists and self._lists[-1][0] > level:
            self._lists.pop()
        if self._lists and self._lists[-1][0] == level:
            _, group, _ = self._lists.pop()
        else:
            parent = self._lists[-1][2] if self._lists else None
            group = self.document.add_list_group(parent=parent)
        marker = one_line(block.marker)
        item = self.document.add_list_item(
            text,
            enumerated=any(letter.isalnum() for letter in marker) and marker != "o",
            marker=marker or "-",
            prov=self._place(block, len(text)),
            parent=group,
        )
        self._lists.append((level, group, item))

    def _table(self, table: Table) -> Any:
        cells = [self._cell(cell) for cell in table.cells]
        return self._docling.TableData(
            table_cells=cells,
            num_rows=max(table.num_rows, *(cell.end_row_offset_idx for cell in cells)),
            num_cols=max(table.num_columns, *(cell.end_col_offset_idx for cell in cells)),
        )

    def _cell(self, cell: Cell) -> Any:
        # HTML is made of the spans, Markdown and DocTags of the offsets.
        return self._docling.TableCell(
            bbox=self._box(cell.box),
            row_span=cell.row_span,
            col_span=cell.column_span,
            start_row_offset_idx=cell.row,
            end_row_offset_idx=cell.row + cell.row_span,
            start_col_offset_idx=cell.column,
            end_col_offset_idx=cell.column + cell.column_span,
            text=printable(cell.text),
            column_header=cell.is_header and cell.row == 0,
            row_header=cell.is_header and cell.row > 0,
        )

    def _place(self, block: Block, end: int, start: int = 0) -> Any:
        return self._docling.ProvenanceItem(
            page_no=self._page.number, bbox=self._box(block.box), charspan=(start, end)
        )

    def _box(self, box: Box) -> Any:
        x_min, y_min, x_max, y_max = box
        width, height = self._page.width, self._page.height
        return self._docling.BoundingBox(
            l=min(max(x_min, 0.0), width),
            t=min(max(y_min, 0.0), height),
            r=min(max(x_max, 0.0), width),
            b=min(max(y_max, 0.0), height),
            coord_origin=self._docling.CoordOrigin.TOPLEFT,
        )
