"""Which part of the source may include which, and what stands at the repository's top.

The layers are the architecture: an include that points the other way is a design error, whether or
not it compiles."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = "runtime/include/policy.h"

# Each layer, and the layers whose headers it may include besides its own. LISTS are the .def files
# of grammar/: data that includes nothing, and that the whole compiler may read.
LISTS = "grammar lists"
LAYERS = {
    "compiler/base": {LISTS},
    "compiler/syntax": {"compiler/base", "grammar", LISTS},
    "compiler/regex": {"compiler/base", LISTS},
    "compiler/policy": {"compiler/base", "compiler/syntax", "compiler/regex", LISTS, CONTRACT},
    "compiler/emit": {"compiler/base", "compiler/regex", "compiler/policy", LISTS, CONTRACT},
    "compiler/analysis": {"compiler/base", "compiler/regex", "compiler/policy", LISTS, CONTRACT},
    "compiler/main.c": {"compiler/base", "compiler/syntax", "compiler/regex", "compiler/policy",
                        "compiler/emit", "compiler/analysis", LISTS, CONTRACT},
    "grammar": {"compiler/base", "compiler/syntax", LISTS},
    LISTS: set(),
    CONTRACT: set(),
    "runtime/shared": {CONTRACT},
    "runtime/worker": {"runtime/shared", CONTRACT},
    "runtime/broker": {"runtime/worker", "runtime/shared", CONTRACT},
    "runtime/client": {"runtime/shared"},
    "runtime/verify": {CONTRACT},
}

# What may not be reached even through other headers.
NEVER_REACHED = {
    "compiler/emit": ("compiler/syntax", "compiler/analysis"),
    "compiler/analysis": ("compiler/syntax", "compiler/emit"),
}

# What bison and make write when the compiler is built.
MADE = {"grammar/rules.tab.h": "grammar/rules.y",
        "grammar/programs.inc": "compiler/analysis/programs.txt"}

# The runtime is libc and the kernel's headers, and PCRE2 in the one file that rules ask for.
FOREIGN = {"seccomp.h", "fa.h", "pcre2.h", "glib.h"}
FOREIGN_ALLOWED = {("runtime/broker/pcre2.c", "pcre2.h")}

TOP = {"Makefile", "README.md", "LICENSE", "compiler", "runtime", "grammar", "generated", "tests",
       "examples", "docs"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|([^\s"<].*))', re.M)


def tracked(*options):
    """Every file of the repository; with --others those that are new, too."""
    listing = subprocess.run(
        ["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached",
         "--exclude-standard", *options], check=True, capture_output=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).exists()]


def sources():
    """The text of every source file, by its name."""
    return {name: (ROOT / name).read_text() for name in tracked("--others")
            if name.split("/")[0] in ("compiler", "runtime", "grammar", "generated")
            and name.endswith((".c", ".h", ".y", ".re", ".def"))}


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def includes(text):
    """The quoted includes of a file, and those in angle brackets."""
    quoted, angled, computed = [], [], []
    for match in INCLUDE.finditer(without_comments(text)):
        for kind, value in zip((quoted, angled, computed), match.groups()):
            if value:
                kind.append(value)
    return quoted, angled, computed


def layer_of(name):
    """The layer that a file is in: the longest that its name begins with."""
    if name.startswith("grammar/") and name.endswith((".def", ".inc")):
        return LISTS
    fitting = [layer for layer in LAYERS if name == layer or name.startswith(layer + "/")]
    return max(fitting, key=len) if fitting else None


def reached(name, texts):
    """Every file that including `name` brings in, itself not."""
    found, ahead = set(), [name]
    while ahead:
        for header in includes(texts.get(ahead.pop(), ""))[0]:
            if header not in found:
                found.add(header)
                ahead.append(header)
    return found


def wrong_includes(texts):
    """One line for each include that the layers forbid."""
    wrong = []
    for name, text in sorted(texts.items()):
        quoted, angled, computed = includes(text)
        wrong += [f"{name}: computed include: {what}" for what in computed]
        if name.startswith("generated/"):
            own = "/".join(name.split("/")[:2])
            wrong += [f"{name}: generated code includes {what}" for what in quoted
                      if what != "policy.h" and f"{own}/{what}" not in texts]
            continue
        layer = layer_of(name)
        if layer is None:
            wrong.append(f"{name}: in no layer")
            continue
        for header in quoted:
            target = layer_of(header)
            if header not in texts and not (header in MADE and (ROOT / MADE[header]).exists()):
                wrong.append(f"{name}: {header} is no file of the repository (names are from its "
                             "top)")
            elif target != layer and target not in LAYERS[layer]:
                wrong.append(f"{name}: {layer} may not include {header}")
        for header in angled:
            if name.startswith("runtime/") and header in FOREIGN and \
                    (name, header) not in FOREIGN_ALLOWED:
                wrong.append(f"{name}: the runtime may not include <{header}>")
            if header in texts:
                wrong.append(f"{name}: <{header}> is the repository's own")
        for folder in NEVER_REACHED.get(layer, ()):
            wrong += [f"{name}: reaches {header}" for header in sorted(reached(name, texts))
                      if header.startswith(folder + "/")]
    return wrong


def test_includes_follow_the_layers():
    assert wrong_includes(sources()) == []


def test_every_source_is_in_a_known_folder():
    assert [name for name in tracked() if name.startswith(("compiler/", "runtime/", "grammar/"))
            and layer_of(name) is None] == []


def test_top_level_is_what_the_architecture_names():
    names = {name.split("/")[0] for name in tracked()}
    assert {name for name in names if not name.startswith(".")} - TOP == set()


def test_wrong_includes_are_seen():
    """The checks above find what they are for."""
    good = {
        "compiler/base/arena.h": "#include <stddef.h>\n",
        "compiler/base/options.c": '#include "grammar/warnings.def"\n',
        "grammar/warnings.def": "",
        "compiler/syntax/tree.h": '#include "compiler/base/arena.h"\n',
        "compiler/policy/model.h": '#include "runtime/include/policy.h"\n',
        "compiler/policy/check.h": '#include "compiler/syntax/tree.h"\n',
        "compiler/emit/rules.c": '#include "compiler/policy/model.h"\n',
        "compiler/analysis/diff.h": "",
        "grammar/rules.y": '#include "compiler/syntax/tree.h"\n',
        "compiler/syntax/lexer.c": '#include "grammar/rules.tab.h"\n',
        "runtime/include/policy.h": "",
        "runtime/shared/wire.h": "",
        "runtime/worker/worker.h": '#include "runtime/shared/wire.h"\n',
        "runtime/client/main.c": '/* #include "runtime/broker/x.h" */ #include "runtime/shared/wire.h"',
        "runtime/broker/pcre2.c": "#include <pcre2.h>\n",
        "generated/agent/rules.h": '#include "policy.h"\n',
        "generated/agent/rules.c": '#include "rules.h"\n',
        "generated/agent/patterns/a.re": '#include "rules.h"\n',
    }
    assert wrong_includes(good) == []
    bad = {
        "compiler/base/arena.h": '#include "compiler/syntax/tree.h"\n',
        "compiler/syntax/tree.h": '#include "compiler/policy/model.h"\n',
        "compiler/syntax/lexer.c": '#include "tree.h"\n',
        "compiler/policy/model.h": '#include "runtime/shared/wire.h"\n',
        "compiler/emit/rules.c": '#include "compiler/policy/check.h"\n',
        "compiler/emit/build.c": '  # include "compiler/analysis/diff.h"\n',
        "compiler/emit/bpf.c": '#include "compiler/syntax/tree.h"\n',
        "compiler/analysis/diff.h": '#include "compiler/emit/layout.h"\n',
        "compiler/other/x.c": "",
        "compiler/policy/model.c": '#include "grammar/rules.tab.h"\n',
        "grammar/warnings.def": '#include "compiler/base/arena.h"\n',
        "runtime/shared/wire.h": '#include "runtime/worker/worker.h"\n',
        "runtime/worker/worker.h": '#include "compiler/base/arena.h"\n',
        "runtime/client/main.c": '#include "runtime/worker/worker.h"\n',
        "runtime/client/other.c": "#include HEADER\n",
        "runtime/worker/seccomp.c": "#include <seccomp.h>\n",
        "runtime/broker/main.c": "#include <runtime/shared/wire.h>\n",
        "generated/agent/rules.c": '#include "runtime/include/policy.h"\n',
        "generated/ci/rules.c": '#include "rules.h"\n',
    }
    for name, text in bad.items():
        found = wrong_includes({**good, name: text})
        assert any(line.startswith(name + ":") for line in found), name
