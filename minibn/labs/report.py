"""The pages of a report: one for the class, one for each student. One file each, no script, no network."""

from collections import Counter
from html import escape
from types import SimpleNamespace

from minibn.labs.words import BY_ID, VERDICTS, sentences

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left;
vertical-align:top}th{font-weight:600}td.n{text-align:right;white-space:nowrap}.wide{overflow-x:auto}
.right{background:#e3f2e1}.one,.several{background:#fff1d0}.unrecognised{background:#fde3d3}
.blank{background:#f0f0f0}.crashed,.timeout,.memory,.format{background:#f8d7da}
.bar{display:inline-block;height:.8rem;background:#4878a8}code,pre{font-family:ui-monospace,monospace}
pre{white-space:pre-wrap;background:#f6f6f6;padding:.6rem}h2{margin-top:2rem}a{color:#205c94}
@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#ddd}td,th{border-color:#444}
.right{background:#1f3d1d}.one,.several{background:#4a3a10}.unrecognised{background:#4d2d18}.blank{background:#333}
.crashed,.timeout,.memory,.format{background:#4d1f24}pre{background:#262626}a{color:#8bbbe8}}
"""


def page(title, body):
    """A whole page."""
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style></head><body>'
            f"<h1>{escape(title)}</h1>{body}</body></html>\n")


def class_page(lab, whole):
    """Which mistake how often, and a row for each submission with a column for each blank."""
    submissions = whole["submissions"]
    points = sorted(one["points"] for one in submissions.values())
    middle = points[len(points) // 2] if points else 0
    how_often, missed = Counter(), Counter()
    for one in submissions.values():
        for blank in one["blanks"]:
            if blank["verdict"] in ("one", "several"):
                how_often.update(blank["mistakes"])
            elif blank["verdict"] != "right":
                missed[blank["verdict"]] += 1
    body = (f"<p>{len(submissions)} submissions, {lab.points} points, median {middle:g}. Seed {whole['seed']}: grading "
            f"again with it gives the same points.{_variant(whole)}</p>")
    body += "<h2>What was not right, and how often</h2>" + _mistakes(how_often, missed, len(submissions))
    head = "".join(f"<th>{escape(blank.id)}<br>{blank.points}</th>" for blank in lab.blanks)
    rows = "".join(_row(name, one) for name, one in submissions.items())
    body += (f'<h2>Submissions</h2><div class="wide"><table><tr><th>student</th><th>points</th>{head}</tr>{rows}'
             f"</table></div>")
    return page(f"Lab {lab.number}: {lab.title}", body)


def _variant(whole):
    return f" Variant: {escape(whole['variant'])}." if whole["variant"] else ""


def _mistakes(how_often, missed, students):
    rows = []
    for key, count in how_often.most_common():
        row = BY_ID.get(key)
        title = f"{row.title}, in {row.place} ({row.equation})" if row else key
        rows.append((count, title, row.explanation if row else ""))
    rows += [(count, VERDICTS[verdict], "") for verdict, count in missed.most_common()]
    if not rows:
        return "<p>Nothing: all is right.</p>"
    return '<div class="wide"><table>' + "".join(
        f'<tr><td class="n">{count}</td><td><span class="bar" style="width:{8 * count / max(students, 1):.2f}rem">'
        f"</span></td><td><b>{escape(title)}</b><br>{escape(text)}</td></tr>" for count, title, text in rows
    ) + "</table></div>"


def _row(name, one):
    from minibn.labs.classroom import file_name

    cells = "".join(f'<td class="{blank["verdict"]}" title="{escape("; ".join(blank["mistakes"]))}">'
                    f'{blank["points"]:g} <small>{escape(VERDICTS[blank["verdict"]])}</small></td>'
                    for blank in one["blanks"])
    link = f'<a href="{escape(file_name(name))}.html">{escape(name)}</a>'
    return f'<tr><td>{link}</td><td class="n">{one["points"]:g}</td>{cells}</tr>'


def student_page(lab, name, one, whole):
    """What one student reads: each blank with its verdict, its reason, and where."""
    body = (f"<p>{one['points']:g} of {one['max']} points. File {escape(one['file'])}, seed {whole['seed']}."
            f"{_variant(whole)}</p>")
    for blank in one["blanks"]:
        said = "".join(f"<p>{escape(text)}</p>" for text in sentences(SimpleNamespace(**blank)))
        body += (f'<h2>{escape(blank["id"])}: {blank["points"]:g} of {blank["max"]}</h2>'
                 f'<p class="{blank["verdict"]}"><b>{escape(VERDICTS[blank["verdict"]])}</b></p>{said}')
    if one["remarks"]:
        body += "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(text)}</li>" for text in one["remarks"]) + "</ul>"
    if one["log"]:
        body += f"<h2>What the program printed</h2><pre>{escape(one['log'])}</pre>"
    return page(f"{name}: lab {lab.number}", body)
