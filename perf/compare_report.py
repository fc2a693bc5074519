"""perf/compare_report.py — perf/compare's results as a table, as Markdown and as plots."""
import statistics

MISSED, MET = "missed", "met"
REST_CORES_MAX = 0.4            # above this the run says that something else was running


def number(value):
    """Three figures, no exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 0.01:
        return f"{value:.5f}".rstrip("0")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def summary(metric, pairs):
    """Medians of both sides, and median and range of the ratios pair by pair."""
    ours = [p["ringlog"][metric.key] for p in pairs]
    theirs = [p["kafka"][metric.key] for p in pairs]
    ratios = [a / b for a, b in zip(ours, theirs) if b > 0]
    floors = [p["floor"][metric.key] for p in pairs if "floor" in p]
    result = {"ringlog": statistics.median(ours), "kafka": statistics.median(theirs),
              "floor": statistics.median(floors) if floors else None,
              "ringlog_range": (min(ours), max(ours)), "kafka_range": (min(theirs), max(theirs)),
              "ratios": ratios, "ratio": statistics.median(ratios) if ratios else None, "verdict": ""}
    measured, target = (result["ratio"], metric.ratio) if metric.ratio is not None \
        else (result["ringlog"], metric.bound)
    if target is not None and measured is not None:
        result["verdict"] = MET if (measured >= target if metric.higher else measured <= target) else MISSED
    return result


def ratio_text(s):
    if s["ratio"] is None:
        return "-"
    return f"{number(s['ratio'])} ({number(min(s['ratios']))}–{number(max(s['ratios']))})"


def floor_text(s):
    return number(s["floor"]) if s["floor"] is not None else ""


def each(rows, results):
    """Rows that were run, with those metrics that were measured then."""
    for row in rows:
        pairs = results[row.number]["pairs"] if row.number in results else []
        for metric in row.metrics:
            if pairs and all(metric.key in figures for pair in pairs for figures in pair.values()):
                yield row, metric, summary(metric, pairs)


def load_text(row):
    """A row's load in one sentence."""
    s = row.shape
    parts = [row.statement]
    if s.record != "–":
        parts.append(f"records of {s.record}")
    if s.batch != "–":
        parts.append(f"batches of {s.batch}")
    parts += [f"{value} {what}{'' if value == '1' else 's'}"
              for value, what in ((s.partitions, "partition"), (s.connections, "connection")) if value != "–"]
    if s.acks != "–":
        parts.append(f"acks={s.acks}")
    return ", ".join(parts)


def table(rows, results, out):
    lines = [("row", "", "ringlog", "Kafka", "floor", "unit", "ratio (range)", "target", "")]
    for row, metric, s in each(rows, results):
        lines.append((row.number, f"{row.title}: {metric.label}", number(s["ringlog"]), number(s["kafka"]),
                      floor_text(s), metric.unit, ratio_text(s), metric.target_text(), s["verdict"]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = (c.rjust(w) if i in (2, 3, 4) else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths)))
        print("  ".join(cells).rstrip(), file=out)


def figures_lines(rows, results):
    yield "| row | | figure | ringlog | Kafka | floor | unit | ratio (range) | target | met? |"
    yield "|---|---|---|---:|---:|---:|---|---|---|---|"
    before = None
    for row, metric, s in each(rows, results):
        first = f"{row.number} | {row.title}" if row is not before else " |"
        before = row
        verdict = f"**{s['verdict']}**" if s["verdict"] == MISSED else s["verdict"]
        yield (f"| {first} | {metric.label} | {number(s['ringlog'])} | {number(s['kafka'])} | {floor_text(s)} | {metric.unit} | "
               f"{ratio_text(s)} | {metric.target_text()} | {verdict} |")


def loads_lines(done):
    yield "| row | record | batch | partitions | connections | acks | synced | and |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in done:
        s = row.shape
        yield (f"| {row.number} | {s.record} | {s.batch} | {s.partitions} | {s.connections} | {s.acks} | {s.sync} | "
               f"{row.statement} |")


def runs_lines(done, results):
    yield "| row | date | revision | Kafka | pairs | seconds each | others used, cores |"
    yield "|---|---|---|---|---:|---:|---:|"
    for row in done:
        r = results[row.number]
        rest = [figures.get("rest_cores", 0) for pair in r["pairs"] for figures in pair.values()]
        yield (f"| {row.number} | {r['date']} | {r['revision']} | {r['kafka']} | {len(r['pairs'])} | "
               f"{r['seconds']:g} | {statistics.median(rest):.2f} ({max(rest):.2f}) |")


def markdown(rows, results, directory):
    done = [row for row in rows if row.number in results]
    if not done:
        return
    machines = sorted({results[row.number]["machine"] for row in done})
    text = ["# ringlog and Apache Kafka side by side", "",
            "Made by `perf/compare`, not by hand; how it measures, and what is known about the rows that miss, is in "
            "[README.md](README.md).", "", *(f"Machine: {m}." for m in machines), "",
            "Medians; the ratio is ringlog ÷ Kafka pair by pair, median and (range). A figure without a target is "
            "there for the picture. Floor: a loop that receives the same requests, computes their CRC, writes them to "
            "one file and answers, or sends batches that are in memory (`ringlog bench sink --file`): what this machine "
            "asks of any broker.", "",
            *figures_lines(rows, results), "",
            "![ratios, with their targets](ratios.svg)", "", "## What each row's load is", "", *loads_lines(done), "",
            "## When it was measured", "",
            "The last column is processor time that neither broker nor load generator used (median and most): "
            "the kernel's write-back, and other programs, which should be none.", "", *runs_lines(done, results), "",
            "![figures of both](figures.svg)", ""]
    (directory / "results.md").write_text("\n".join(text))


def plots(rows, results, directory):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "ringlog", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False})
    shown = list(each(rows, results))
    if shown:
        plot_ratios(shown, directory / "ratios.svg")
        plot_figures(shown, directory / "figures.svg")


def save(figure, path):
    import matplotlib.pyplot
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    matplotlib.pyplot.close(figure)


def plot_ratios(shown, path):
    import matplotlib.pyplot as plt
    shown = [(row, m, s) for row, m, s in shown if s["ratio"]]
    figure, axis = plt.subplots(figsize=(8, 0.3 * len(shown) + 1))
    for y, (row, metric, s) in enumerate(reversed(shown)):
        color = "#2e7d4f" if metric.higher else "#1f5fa8"
        axis.plot([min(s["ratios"]), max(s["ratios"])], [y, y], color=color, linewidth=2)
        axis.plot(s["ratio"], y, "o", color=color, markersize=6,
                  markerfacecolor="white" if s["verdict"] == MISSED else color)
        if metric.ratio is not None:
            axis.plot(metric.ratio, y, "|", color="#b03020", markersize=13, markeredgewidth=2)
    axis.axvline(1, color="#888888", linewidth=1)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_ylim(-0.7, len(shown) - 0.3)
    axis.set_yticks(range(len(shown)))
    axis.set_yticklabels([f"{row.number} {row.title}: {m.label}{' (more is better)' if m.higher else ''}"
                          for row, m, _ in reversed(shown)])
    axis.set_xlabel("ringlog ÷ Kafka: median and range of pairs\n"
                    "blue: less is better, green: more is better; red: target; hollow: missed")
    axis.grid(axis="x", which="major", color="#e0e0e0", linewidth=0.6)
    axis.set_axisbelow(True)
    save(figure, path)


def plot_figures(shown, path):
    import matplotlib.pyplot as plt
    columns = 3
    lines = (len(shown) + columns - 1) // columns
    figure, axes = plt.subplots(lines, columns, figsize=(9, 1.2 * lines), squeeze=False)
    for axis in axes.flat[len(shown):]:
        axis.axis("off")
    for axis, (row, metric, s) in zip(axes.flat, shown):
        for y, side, color in ((1, "ringlog", "#1f5fa8"), (0, "kafka", "#999999")):
            axis.barh(y, s[side], color=color, height=0.6)
            low, high = s[side + "_range"]
            axis.plot([low, high], [y, y], color="black", linewidth=1)
            axis.text(max(high, s[side]), y, f" {number(s[side])}", va="center", fontsize=8)
        axis.set_yticks([1, 0])
        axis.set_yticklabels(["ringlog", "Kafka"], fontsize=8)
        axis.set_xticks([])
        axis.margins(x=0.25)
        axis.set_title(f"{row.number} {metric.label}, {metric.unit}", fontsize=8, loc="left")
    figure.tight_layout()
    save(figure, path)
