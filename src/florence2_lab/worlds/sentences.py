"""The sentence patterns of captions: plain tables, so that one can read all that is ever said.

Fields: {things} a list with articles, {ground} the background, {are} and {appear} agree with the
list, {the} a definite and {a} an indefinite phrase, {place} where it is, {word} a direction,
{other} what it is seen from, {number} in words, {text} a printed text.
"""

OPENINGS = (
    "the picture shows {things} on {ground}",
    "there {are} {things} on {ground}",
    "{things} can be seen on {ground}",
    "this is a drawing of {things} on {ground}",
    "in this picture {things} {appear} on {ground}",
    "we see {things} on {ground}",
    "{things} {stand} out against {ground}",
    "the image contains {things}, drawn on {ground}",
    "on {ground} there {are} {things}",
)
SHORT_OPENINGS = (
    "the picture shows {things}",
    "there {are} {things} in the picture",
    "this is a drawing of {things}",
    "the image contains {things}",
    "{things} {are} shown",
)
PLACES = (
    "{a} is {place}",
    "{place} there is {a}",
    "{a} sits {place}",
    "{a} is placed {place}",
    "{place} is {a}",
    "{a} can be found {place}",
    "{a} appears {place}",
)
DIRECTIONS = (
    "{the} is {word} {other}",
    "{word} {other} is {the}",
    "{the} appears {word} {other}",
    "{the} is drawn {word} {other}",
    "one finds {the} {word} {other}",
)
ON_TOP = (
    "{the} lies on top of {other}",
    "{the} is on top of {other}",
    "on top of {other} is {the}",
    "{the} has been put on top of {other}",
)
IN_FRONT = (
    "{the} partly covers {other}",
    "{other} is partly hidden by {the}",
    "{the} is in front of {other}",
    "{the} overlaps {other}",
)
COUNTS = (
    "there are {number} objects in all",
    "altogether {number} things are shown",
    "in total the picture holds {number} objects",
)
LARGEST = (
    "{the} is the largest of them",
    "the largest object is {the}",
    "{the} takes up the most room",
)
TEXTS = (
    'the text "{text}" is written {place}',
    '{place} it says "{text}"',
    'the letters "{text}" can be read {place}',
    'someone has written "{text}" {place}',
)
GROUNDS = (
    "everything is set against {ground}",
    "all of it is drawn on {ground}",
    "the scene is set on {ground}",
    "behind it all is {ground}",
)
EMPTY = (
    "the picture shows {ground} and nothing else",
    "only {ground} can be seen",
    "there is nothing but {ground}",
)
