"""A question has eight forms on its way, not more: whoever reads the engine has to know these.

Namespace (the command line) -> Request -> Job -> PreparedImage, EncodedImage -> Hypothesis,
Generated -> Result -> Answer -> dict (JSON). Pipelines have three requests of token ids beside.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "src" / "florence2" / "engine"
FORMS = {"Request", "Job", "PreparedImage", "EncodedImage", "Generated", "Result", "Answer"}
OF_PIPELINES = {
    *("ImageRequest", "CompletionRequest", "LoglikelihoodRequest", "AnyRequest"),
    *("Completion", "Loglikelihood"),
}
PRESENCE = {"PhraseQuery", "PresenceEvidence", "Rounds", "Round"}
# What a question meets, but does not become.
TOOLS = {
    *("Engine", "Worker", "Scheduler", "EngineLimits", "ImageCache", "StageTimer", "Forked"),
    *(
        "Runtime",
        "Processor",
        "Calibration",
        "AnswerDefaults",
        "GenerationOptions",
        "Search",
        "Settle",
        "OnAnswer",
    ),
    *("OnTokens", "Task", "ImageSource", "ScoredToken", "PromptMemory", "Florence2Error"),
}


def classes_in_signatures() -> Iterator[tuple[str, str]]:
    """Each name with a capital in the annotation of an argument or a return value, and where."""
    for path in sorted(ENGINE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            arguments = [*node.args.args, *node.args.kwonlyargs]
            for annotation in (node.returns, *(each.annotation for each in arguments)):
                if annotation is None:
                    continue
                text = ast.unparse(annotation).strip("'")
                names = {
                    each.id for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Name)
                }
                yield from (
                    (name, f"{path.name}:{node.name}") for name in names if name[0].isupper()
                )


def test_a_question_becomes_nothing_else_on_its_way() -> None:
    known = FORMS | OF_PIPELINES | PRESENCE | TOOLS
    general = {
        "Any",
        "Callable",
        "Future",
        "Iterable",
        "Iterator",
        "Sequence",
        "Mapping",
        "Generator",
    }
    general |= {"BaseException", "ThreadPoolExecutor", "Ids"}
    found = list(classes_in_signatures())
    assert {name for name, _ in found} >= FORMS
    strange = {f"{where} speaks of {name}" for name, where in found if name not in known | general}
    assert not strange
