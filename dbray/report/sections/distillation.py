"""The report's part on distillation: students beside their twins from labels, claim C6."""

import altair as alt
import pandas as pd

from dbray.claims.distillation import Taught
from dbray.claims.names import display_name
from dbray.report.page.page import Figure, Section, Table
from dbray.report.page.theme import INK
from dbray.report.sections.captions import distillation_caption
from dbray.report.tables.intervals import row_with_interval
from dbray.report.tables.tables import StudyTables, records

CELL_WIDTH, CELL_HEIGHT = 118, 58  # px


def distillation_section(tables: StudyTables) -> Section | None:
    """Agreement of students with their teachers, as matrices and with every interval."""
    if not len(tables.distillation):
        return None
    frame = distillation_frame(tables)
    rows = [
        [
            row["teacher_name"],
            row["student_name"],
            row["learned"],
            row_with_interval(row, "distilled"),
            row_with_interval(row, "from_labels"),
            row_with_interval(row, "difference", signed=True),
            str(row["students"]),
        ]
        for row in records(frame)
    ]
    prose = [
        "A student is trained on its teacher's outputs alone, from other initial weights and with "
        "another order of the data than its teacher. It is compared with that teacher, and so is "
        "the same student (architecture, recipe, seeds) trained on the labels. The intervals hold "
        f"for other planes and other seeds ({int(frame.planes.iloc[0])} test planes, "
        f"{int(frame.students.min())} students or more a cell); the difference is taken plane by "
        "plane and seed by seed.",
    ]
    columns = [
        *("teacher", "student", "learned", "agreement, distilled", "agreement, from labels"),
        *("difference", "students"),
    ]
    figures = [
        Figure(f"distillation-{number}", distillation_matrix(rows), distillation_caption(rows))
        for number, (_, rows) in enumerate(frame.groupby("learned", sort=False), start=1)
    ]
    return Section("Students and teachers", prose, figures, [Table(columns, rows)])


def distillation_frame(tables: StudyTables) -> pd.DataFrame:
    """Rows of ``distillation`` with names for people."""
    rows = tables.distillation
    named = rows[list(Taught._fields)].itertuples(index=False)
    learned = [Taught(*row).learned for row in named]
    return rows.assign(
        teacher_name=rows.teacher.map(display_name),
        student_name=rows.student.map(display_name),
        learned=learned,
    )


def distillation_matrix(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Students by teachers under one loss: both agreements, coloured by their difference."""
    shown = frame.assign(
        first=lambda f: f.distilled.map("{:.2f}".format),
        second=lambda f: f.from_labels.map("from labels {:.2f}".format),
    )
    most = float(shown.difference.abs().max()) or 1.0
    base = alt.Chart(shown).encode(
        x=alt.X("teacher_name:N", title="teacher", axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("student_name:N", title="student"),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color(
            "difference:Q",
            title="closer by",
            scale=alt.Scale(scheme="purpleorange", domain=[-most, most]),
        ),
        tooltip=[
            alt.Tooltip("student_name:N", title="student"),
            alt.Tooltip("teacher_name:N", title="teacher"),
            alt.Tooltip("distilled:Q", title="agreement, distilled", format=".3f"),
            alt.Tooltip("from_labels:Q", title="agreement, from labels", format=".3f"),
            alt.Tooltip("difference:Q", format="+.3f"),
            alt.Tooltip("difference_low:Q", title="95 % interval from", format="+.3f"),
            alt.Tooltip("difference_high:Q", title="to", format="+.3f"),
        ],
    )
    ink = alt.condition(
        f"abs(datum.difference) > {0.72 * most}", alt.value("white"), alt.value(INK)
    )
    large = base.mark_text(fontSize=15, fontWeight=600, dy=-8)
    small = base.mark_text(fontSize=11, dy=11)
    return alt.layer(
        cells,
        large.encode(text="first:N", color=ink),
        small.encode(text="second:N", color=ink),
    ).properties(
        width=CELL_WIDTH * shown.teacher.nunique(),
        height=CELL_HEIGHT * shown.student.nunique(),
        title=alt.TitleParams(
            f"How close do students come to their teachers? Learned: {frame.learned.iloc[0]}",
            subtitle="Agreement with the teacher; below it, that of the same student trained on "
            "labels. Orange: distillation brings them closer.",
        ),
    )
