"""Charts as SVG, with nothing but the standard library: lines over a linear or logarithmic axis,
and horizontal bars. Plain shapes and words, so that any viewer and any renderer shows them."""

import math
from html import escape

FONT = "font-family=\"'DejaVu Sans', Verdana, sans-serif\""
INK, SOFT, GRID, PAPER = "#1f2933", "#61707f", "#e3e8ed", "#ffffff"
COLOURS = ["#9aa5b1", "#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#00838f"]
DASHES = {"floor": "6 4"}


def text(x, y, words, size=13, anchor="start", colour=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}" font-weight="{weight}">{escape(words)}</text>')


def line(x1, y1, x2, y2, colour=GRID, width=1.0, dash=None):
    extra = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{extra}/>')


def document(width, height, title, subtitle, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" {FONT}>\n'
            f'<title>{escape(title)}</title>\n'
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n')
    words = [text(24, 34, title, 17, weight="bold"), text(24, 56, subtitle, 12.5, colour=SOFT)]
    return head + "\n".join(words + parts) + "\n</svg>\n"


class Axis:
    """From values to places. `ticks` are the values that are named."""

    def __init__(self, low, high, begin, end, ticks, logarithmic=False):
        self.low, self.high, self.begin, self.end = low, high, begin, end
        self.ticks, self.logarithmic = ticks, logarithmic

    def place(self, value):
        if self.logarithmic:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.begin + (self.end - self.begin) * min(max(part, 0), 1)


def steps(high, count=5):
    """Round values from 0 to `high` or a little beyond."""
    rough = high / count
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [step * i for i in range(math.ceil(high / step - 1e-9) + 1)]


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:g}" if value >= 10 or value == int(value) else f"{value:.3g}"


def frame(x, y, x_name, y_name, tick_name=number, x_tick_name=number):
    parts = []
    for tick in y.ticks:
        at = y.place(tick)
        parts += [line(x.begin, at, x.end, at),
                  text(x.begin - 9, at + 4, tick_name(tick), 12, "end", SOFT)]
    for tick in x.ticks:
        at = x.place(tick)
        parts += [line(at, y.begin, at, y.begin + 5, SOFT),
                  text(at, y.begin + 21, x_tick_name(tick), 12, "middle", SOFT)]
    parts += [line(x.begin, y.begin, x.end, y.begin, SOFT),
              text((x.begin + x.end) / 2, y.begin + 44, x_name, 12.5, "middle", SOFT),
              text(x.begin - 9, y.end - 14, y_name, 12.5, "start", SOFT)]
    return parts


def spread(places, gap, low, high):
    """Moves labels apart until none is nearer than `gap` to the next."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for before, here in zip(order, order[1:]):
        moved[here] = max(moved[here], moved[before] + gap)
    over = max(0, moved[order[-1]] - high) if order else 0
    for i in reversed(order):
        moved[i] = max(low, moved[i] - over)
    return moved


def lines(title, subtitle, series, x_name, y_name, x_ticks, x_logarithmic=False, y_from_zero=True,
          y_range=None, x_range=None, markers=True, x_tick_name=number):
    """`series`: (name, [(x, y), ...]). Each line's name stands at its end."""
    width, height = 860, 430
    longest = max(len(name) for name, _ in series)
    right = width - 34 - 7.4 * longest
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    low, high = y_range or (0 if y_from_zero else min(ys), max(ys))
    ticks = [tick for tick in steps(high) if tick >= low]
    x = Axis(*(x_range or (min(xs), max(xs))), 92, right, x_ticks, x_logarithmic)
    y = Axis(low, max(high, ticks[-1]), height - 66, 106, ticks)
    parts = frame(x, y, x_name, y_name, x_tick_name=x_tick_name)
    ends = spread([y.place(points[-1][1]) for _, points in series], 18, 106, height - 66)
    for index, (name, points) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in points)
        dash = f' stroke-dasharray="{DASHES[name]}"' if name in DASHES else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.4" '
                     f'stroke-linejoin="round"{dash}/>')
        if markers:
            parts += [f'<circle cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="3.6" '
                      f'fill="{colour}"/>' for a, b in points]
        parts += [line(x.place(points[-1][0]) + 4, y.place(points[-1][1]), right + 12, ends[index],
                       colour, 0.8),
                  text(right + 16, ends[index] + 4, name, 12.5, colour=colour, weight="bold")]
    return document(width, height, title, subtitle, parts)


def bars(title, subtitle, groups, unit, marks=()):
    """`groups`: (name, [(name, value), ...]). `marks`: (value, words) drawn as lines through all."""
    row, gap, left, width = 24, 18, 244, 860
    height = 96 + sum(gap + row * len(rows) for _, rows in groups) + 58
    ticks = steps(max(value for _, rows in groups for _, value in rows))
    x = Axis(0, ticks[-1], left, width - 90, ticks)
    bottom = height - 58
    parts = []
    for tick in ticks:
        at = x.place(tick)
        parts += [line(at, 84, at, bottom), text(at, bottom + 20, number(tick), 12, "middle", SOFT)]
    parts.append(text((left + width - 90) / 2, bottom + 43, unit, 12.5, "middle", SOFT))
    names = []
    for _, rows in groups:
        names += [name for name, _ in rows if name not in names]
    y = 84
    for group, rows in groups:
        y += gap
        parts.append(text(24, y + row * len(rows) / 2 + 4, group, 13, weight="bold"))
        for name, value in rows:
            colour = COLOURS[names.index(name) % len(COLOURS)]
            parts += [f'<rect x="{left}" y="{y + 3}" width="{x.place(value) - left:.1f}" '
                      f'height="{row - 6}" rx="2" fill="{colour}"/>',
                      text(left - 8, y + row / 2 + 4, name, 12, "end", SOFT),
                      text(x.place(value) + 6, y + row / 2 + 4, number(value), 12)]
            y += row
    for value, words in marks:
        parts += [line(x.place(value), 84, x.place(value), bottom, INK, 1.2, "4 3"),
                  text(x.place(value) + 4, 80, words, 11.5, colour=INK)]
    return document(width, height, title, subtitle, parts)
