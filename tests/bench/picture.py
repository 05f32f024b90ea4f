"""
Curves as SVG: several charts over one logarithmic axis, with one legend.  Plain text, no libraries.
"""

import math
from xml.sax.saxutils import escape

# Told apart by shape too, and by eyes that see few colours (Okabe and Ito's palette).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00"]
DASHES = ["", "7 3", "2 3", "9 3 2 3", "1 4", "5 5"]
WIDTH, HEIGHT = 430, 270            # of one chart, with its axes
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 44


class Chart:
    def __init__(self, title, unit, curves):
        """curves: {name: [(count, figure)]}"""
        self.title, self.unit, self.curves = title, unit, curves


def nice_step(highest):
    rough = highest / 5 or 1
    power = 10 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def words(x, y, text, anchor="middle", size=12, more=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d"%s>%s</text>' % (x, y, anchor, size, more,
                                                                                   escape(text))


def line(x1, y1, x2, y2, colour, more=""):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"%s/>' % (x1, y1, x2, y2, colour, more)


def mark(number, x, y, colour):
    shapes = ['<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{c}"/>',
              '<rect x="{l:.1f}" y="{t:.1f}" width="7" height="7" fill="{c}"/>',
              '<path d="M{x:.1f} {t:.1f}l4 7.5h-8z" fill="{c}"/>']
    return shapes[number % 3].format(x=x, y=y, l=x - 3.5, t=y - 3.5, c=colour)


def draw_chart(chart, names, x_title, left, top):
    points = [point for curve in chart.curves.values() for point in curve]
    counts = sorted({count for count, _ in points})
    low, high = math.log10(counts[0]), math.log10(counts[-1])
    step = nice_step(max(figure for _, figure in points))
    highest = step * max(1, math.ceil(max(figure for _, figure in points) / step * 0.999))

    def x_of(count):
        share = (math.log10(count) - low) / (high - low) if high > low else 0.5
        return left + LEFT + share * (WIDTH - LEFT - RIGHT)

    def y_of(figure):
        return top + HEIGHT - BOTTOM - figure / highest * (HEIGHT - TOP - BOTTOM)
    out = [words(left + LEFT, top + 18, "%s [%s]" % (chart.title, chart.unit), "start", 13, ' font-weight="bold"')]
    for number in range(round(highest / step) + 1):
        figure = number * step
        out += [line(x_of(counts[0]), y_of(figure), x_of(counts[-1]), y_of(figure), "#dddddd"),
                words(left + LEFT - 7, y_of(figure) + 4, "%g" % round(figure, 6), "end", 11)]
    for count in counts:
        out += [line(x_of(count), y_of(0), x_of(count), y_of(0) + 5, "#333333"),
                words(x_of(count), y_of(0) + 18, "{:,}".format(count), size=11)]
    out += [line(x_of(counts[0]), y_of(0), x_of(counts[-1]), y_of(0), "#333333"),
            line(x_of(counts[0]), y_of(0), x_of(counts[0]), y_of(highest), "#333333"),
            words((x_of(counts[0]) + x_of(counts[-1])) / 2, y_of(0) + 35, x_title, size=11)]
    for name, curve in chart.curves.items():
        number = names.index(name)
        colour = COLOURS[number % len(COLOURS)]
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="%s"/>' % (
            colour, DASHES[number % len(DASHES)],
            " ".join("%.1f,%.1f" % (x_of(count), y_of(figure)) for count, figure in curve)))
        out += [mark(number, x_of(count), y_of(figure), colour) for count, figure in curve]
    return out


def draw(charts, title, x_title, caption):
    """The document; charts stand two in a row."""
    charts = [chart for chart in charts if any(chart.curves.values())]
    names = list(dict.fromkeys(name for chart in charts for name in chart.curves))
    rows = (len(charts) + 1) // 2
    width, height = 2 * WIDTH + 20, 70 + rows * HEIGHT + 16 * len(caption) + 12
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
           'font-family="sans-serif" fill="#222222" role="img">' % (width, height, width, height),
           "<title>%s</title>" % escape(title), '<rect width="100%" height="100%" fill="#ffffff"/>',
           words(width / 2, 26, title, size=16, more=' font-weight="bold"')]
    for number, name in enumerate(names):
        x, colour = 30 + number * (width - 40) / max(len(names), 5), COLOURS[number % len(COLOURS)]
        stroke = ' stroke-width="2" stroke-dasharray="%s"' % DASHES[number % len(DASHES)]
        out += [line(x, 50, x + 34, 50, colour, stroke),
                mark(number, x + 17, 50, colour), words(x + 41, 54, name, "start")]
    for number, chart in enumerate(charts):
        out += draw_chart(chart, names, x_title, 10 + number % 2 * WIDTH, 66 + number // 2 * HEIGHT)
    for number, sentence in enumerate(caption):
        out.append(words(30, 66 + rows * HEIGHT + 18 + 16 * number, sentence, "start", 11))
    return "\n".join(out + ["</svg>"]) + "\n"
