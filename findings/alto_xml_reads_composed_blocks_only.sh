#!/usr/bin/env bash
# alto-xml 0.0.5 reads ALTO of one shape, that which Tesseract writes: ComposedBlocks alone in the
# PrintSpace, and a head that names the picture. The standard also has TextBlocks and Illustrations
# there and asks for no picture; such files cannot be read at all (ValueError), not even their text.
#
#   text in a ComposedBlock         ['Hello']
#   text in a TextBlock             ValueError
#   a picture beside the text       ValueError
#   no sourceImageInformation       ValueError
#
# So: wrap each TextBlock in a ComposedBlock, name the picture, and leave Illustrations out.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check alto-xml==0.0.5
cat >"$folder/read.py" <<'PY'
import alto

SOURCE = "<sourceImageInformation><fileName>page.png</fileName></sourceImageInformation>"
PICTURE = '<Illustration ID="i1" HPOS="10" VPOS="10" WIDTH="100" HEIGHT="80"/>'
PLACE = 'HPOS="10" VPOS="100" WIDTH="100" HEIGHT="20"'


def words(source=SOURCE, picture="", block="ComposedBlock"):
    start = f'<{block} ID="c1" {PLACE}>' if block else ""
    end = f"</{block}>" if block else ""
    page = f"""<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v3#">
 <Description><MeasurementUnit>pixel</MeasurementUnit>{source}</Description>
 <Layout><Page ID="p1" PHYSICAL_IMG_NR="1" WIDTH="400" HEIGHT="300">
  <PrintSpace HPOS="0" VPOS="0" WIDTH="400" HEIGHT="300">{picture}
   {start}<TextBlock ID="b1" {PLACE}><TextLine ID="l1" {PLACE}>
    <String ID="s1" {PLACE} CONTENT="Hello" WC="0.9"/>
   </TextLine></TextBlock>{end}
  </PrintSpace></Page></Layout>
</alto>"""
    try:
        return alto.parse(page).extract_words()
    except ValueError:
        return "ValueError"


found = {
    "text in a ComposedBlock": words(),
    "text in a TextBlock": words(block=""),
    "a picture beside the text": words(picture=PICTURE),
    "no sourceImageInformation": words(source=""),
}
for what, seen in found.items():
    print(f"{what:31} {seen}")
assert [*found.values()] == [["Hello"], *["ValueError"] * 3], found
PY
"$folder/venv/bin/python" "$folder/read.py"
