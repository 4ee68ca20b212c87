"""Policies that an analysis could choke on, as functions from nothing to the text of a rules file. Shared by the tests
of the limits and by the bench."""

import itertools
import re


def ordinary(count=1000, programs=("git", "make", "npm", "cargo", "kubectl")):
    """Rules that literals tell apart, as large policies are."""
    forms = ["[a-z][a-z0-9-]{{0,{}}}", "v[0-9]{{1,{}}}\\.[0-9]+", "(feature|fix|topic{})/[A-Za-z0-9._-]{{1,60}}",
             "[A-Z]{{2,5}}-{}[0-9]*", "(src|doc|t{})(/[a-z0-9_.]+)+"]
    lines = []
    for n in range(count):
        pattern = forms[n % 5].format(n % 300 // 5 + 2)
        lines.append(f"{programs[n % len(programs)]} do{n // 5} --level={n % 7} #a #b\n  a = {pattern}\n  b = @uint\n")
    return "".join(lines)


def intervals(count=1000, width=None):
    """Every rule shares requests with many of its neighbours: numbers from n to n + width, twice."""
    width = width or count // 2
    return "".join(f"x #a #b\n  a = @int({n},{n + width})\n  b = @int({2 * n},{2 * n + width})\n  timeout = {n % 9 + 1}s\n"
                   for n in range(1, count + 1))


def prefixes(count=1000):
    """Chains: each rule takes less than the one before it, at two places."""
    return "".join(f"x #a #b\n  a = [a-z]{{{n % 40},{n % 40 + 40}}}\n  b = [0-9a-z]{{{n // 40},{n // 40 + 60}}}\n"
                   f"  timeout = {n % 5 + 1}s\n" for n in range(count))


def same(count=1000):
    """Rules of one form, all equal but for what they run with."""
    return "".join(f"x #a #b #c\n  a = [a-z]+\n  b = @relpath\n  c = .{{0,40}}\n  timeout = {n + 1}s\n"
                   for n in range(count))


def contains(count=1000):
    """`.*word.*`: every subset of the rules has a value of its own."""
    words = ["".join(w) for w in itertools.islice(itertools.product("abcdefgh", repeat=4), count)]
    return "".join(f"x #a\n  a = .*{word}.*\n  timeout = {n % 7 + 1}s\n" for n, word in enumerate(words))


def subsets(count=24):
    """Each rule refuses one letter at a place of its own: every subset of the rules has a command line."""
    lines = []
    for n in range(count):
        lines.append("x " + " ".join(f"#s{m}" for m in range(count)) + "\n")
        lines += [f"  s{m} = {'[b-z]' if m == n else '[a-z]'}\n" for m in range(count)]
    return "".join(lines)


def rests(count=200):
    """`...` slots with bounds that all differ, before words that overlap."""
    return "".join(f"x #a...{{{n % 50},{n % 50 + 100 + n // 50}}} #b\n  a = [a-{'klmnopqrstuvwxyz'[n % 16]}]+\n"
                   f"  b = [{'abcdefgh'[n % 8]}-z]{{1,{n % 9 + 1}}}\n" for n in range(count))


def alternations(count=60, words=2000):
    """Lists of words, each with half of what the others have."""
    return "".join(f"x #a\n  a = {'|'.join(f'w{m}' for m in range(n, n + words))}\n" for n in range(count))


def long_words(count=400, length=4000):
    """Long literals that differ at their ends, and counted classes of the same length."""
    return "".join(f"x {'a' * (length - 5)}{n:05}\nx #a\n  a = [a-z0-9]{{0,{length + n}}}\n"
                   for n in range(count))


def many(count=100000):
    """More rules than the language takes."""
    return "".join(f"x w{n}\n" for n in range(count))


def most(count=20000):
    """As many rules as the language takes, of one program, with neighbours that overlap."""
    return "".join(f"x #a\n  a = @int({n},{n + 300})\n" for n in range(1, count + 1))


def most_programs(count=20000):
    """As many rules as the language takes, in groups of two that overlap."""
    return "".join(f"p{n // 2} #a #b\n  a = [a-{'m' if n % 2 else 'q'}]+\n  b = [0-9]{{1,9}}\n  timeout = {n % 2 + 1}s\n"
                   for n in range(count))


def call_time(count=40):
    """Values that only a call can decide."""
    return "".join(f"x #a\n  a = (?<!{n})b+\n  engine = pcre2 [a]\n" for n in range(count))


def caps(count=2000):
    """A long pattern under a cap of its own in each rule."""
    return "".join(f"x #a\n  a = .{{0,4000}}\n  allow_max = a:{n + 1}\n" for n in range(count))


def scripts(count=500):
    """Classes of hundreds of ranges, cut differently by every rule."""
    return "".join(f"x #a\n  a = (\\p{{L}}|\\x{{{0x100 + n:x}}}-z)*[\\x{{{0x300 + n * 3:x}}}-\\x{{{0x9000 + n * 7:x}}}]{{1,9}}\n"
                   for n in range(count))


def changed(text):
    """A policy as a review sees it next: a rule gone, one that runs otherwise, a new one."""
    stanzas = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    del stanzas[len(stanzas) // 2]
    stanzas[-1] = re.sub(r"^  timeout = .*\n", "", stanzas[-1], flags=re.M) + "  timeout = 1h\n"
    return "".join(stanzas) + f"{stanzas[0].split()[0]} entirely-new\n"


ALL = [ordinary, intervals, prefixes, same, contains, subsets, rests, alternations, long_words, many, most,
       most_programs, call_time, caps, scripts]
