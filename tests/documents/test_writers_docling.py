"""DoclingDocument: docling-core loads what we write, exports it and cuts it into chunks."""

import io
import warnings
from typing import Any

import pytest

from documents.made_documents import block, manual, table
from florence2.documents.structure import Block, Page
from florence2.documents.writers.docling import write_docling
from florence2.documents.writers.options import WriterOptions

docling = pytest.importorskip("docling_core.types.doc", reason="docling-core is not installed")


def loaded(pages: list[Page]) -> Any:
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_docling(pages, file, WriterOptions(name="manual.pdf"))
        return docling.DoclingDocument.model_validate_json(file.getvalue())


def test_markdown_and_html_hold_the_document() -> None:
    document = loaded(manual())
    markdown = document.export_to_markdown()
    assert "1. Things &amp; others" in markdown
    assert "- first of them\n    4. below it\n    5. next below\n- (a) lettered" in markdown
    assert "an-other column of the page." in markdown
    assert "Manual of things" not in markdown  # the header of the page
    html = document.export_to_html()
    assert '<th colspan="2">a &amp; b</th>' in html
    assert '<td rowspan="2">2019</td><td>p&lt;q</td><td>42</td>' in html
    assert "Table 1: prices</div></caption>" in html


def test_pages_places_and_layers() -> None:
    document = loaded(manual())
    assert {number: page.size.width for number, page in document.pages.items()} == dict.fromkeys(
        (1, 2, 3), 612.0
    )
    layers = {item.text: item.content_layer.value for item in document.texts}
    assert layers["Manual of things"] == layers["1"] == "furniture"
    assert layers["Table 1: prices"] == "body"
    [joined] = [item for item in document.texts if len(item.prov) > 1]
    assert [place.page_no for place in joined.prov] == [1, 2]
    start, end = joined.prov[1].charspan
    assert joined.text[start:end] == "other column of the page."
    assert {place.bbox.coord_origin.value for item in document.texts for place in item.prov} == {
        "TOPLEFT"
    }
    assert document.pictures[0].meta.description.text == "a cat [black]"


def test_two_items_are_one_list() -> None:
    blocks = (
        block("list item", "one", level=1, marker="•"),
        block("footer", "1"),
        block("list item", "two", level=1, marker="•"),
    )
    document = loaded([Page(1, 612, 792, blocks=blocks)])
    assert len(document.groups) == 1
    assert document.export_to_markdown() == "- one\n- two"


def test_boxes_beyond_the_page_are_cut_and_controls_left_out() -> None:
    wide = Block("paragraph", (-9.0, -9.0, 900.0, 20.0), (), "a\x02\ufffeb\x00")
    page = Page(1, 612, 792, blocks=(wide, table([["p<q", "42"]])))
    document = loaded([page])
    assert document.texts[0].text == "ab"
    box = document.texts[0].prov[0].bbox
    assert (box.l, box.t, box.r, box.b) == (0.0, 0.0, 612.0, 20.0)
    assert [cell.text for cell in document.tables[0].data.table_cells] == ["p<q", "42"]


@pytest.mark.slow  # loads tree-sitter, pandas and all chunkers
def test_chunkers_give_page_numbers() -> None:
    chunking = pytest.importorskip(
        "docling_core.transforms.chunker.hybrid_chunker",
        reason="docling-core[chunking] is not installed",
    )
    from docling_core.transforms.chunker.hierarchical_chunker import HierarchicalChunker
    from docling_core.transforms.chunker.tokenizer.base import BaseTokenizer

    class Words(BaseTokenizer):
        """Counts words; needs no network."""

        def count_tokens(self, text: str) -> int:
            return len(text.split())

        def get_max_tokens(self) -> int:
            return 30

        def get_tokenizer(self) -> Any:
            return self.count_tokens

    document = loaded(manual())
    for chunker in (HierarchicalChunker(), chunking.HybridChunker(tokenizer=Words())):
        chunks = list(chunker.chunk(document))
        text = "\n".join(chunk.text for chunk in chunks)
        assert "Costs are 3.5 mm" in text and "Manual of things" not in text
        pages = [
            {p.page_no for item in chunk.meta.doc_items for p in item.prov} for chunk in chunks
        ]
        assert set.union(*pages) == {1, 2}
        assert chunks[0].meta.headings == ["1. Things & others"]
