"""The look of what pages write as HTML. Colours follow Streamlit's theme."""

import streamlit as st

STYLE = """<style>
.stVegaLiteChart text { fill: currentColor; }
.stHtml .v-name { font-size: 2rem; font-weight: 650; line-height: 1.2; margin: 0; padding: 0;
  overflow-wrap: anywhere; }
.stHtml .v-quiet { opacity: .72; font-size: .9rem; margin: .15rem 0; }
.stHtml .v-answer { font-size: 2.6rem; font-weight: 650; line-height: 1.15; margin: .2rem 0 .4rem;
  padding: 0; }
.stHtml .v-section { font-size: 1.15rem; font-weight: 600; margin: .6rem 0 0; padding: 0; }
.stHtml .v-share { font-weight: 400; opacity: .8; white-space: nowrap; }
.stHtml .v-mark { display: inline-block; width: .34em; height: .85em; border-radius: .12em;
  margin-right: .28em; }
.stHtml .v-track { display: block; height: .45rem; border-radius: .25rem; overflow: hidden;
  background: color-mix(in srgb, currentColor 14%, transparent); }
.stHtml .v-track > span { display: block; height: 100%; border-radius: .25rem;
  background: color-mix(in srgb, currentColor 62%, transparent); }
.stHtml .v-frames { display: grid; gap: .9rem .7rem;
  grid-template-columns: repeat(auto-fill, minmax(7.6rem, 1fr)); }
.stHtml .v-frames figure { margin: 0; min-width: 0; }
.stHtml .v-frame { position: relative; display: block; border-radius: .4rem; overflow: hidden;
  line-height: 0;  background: color-mix(in srgb, currentColor 8%, transparent); }
.stHtml .v-frame img { width: 100%; height: auto; display: block; }
.stHtml .v-frames figcaption { font-size: .82rem; margin-top: .25rem; line-height: 1.3; }
.stHtml .v-frames .v-quiet { font-size: .82rem; }
.stHtml .v-box { position: absolute; border-radius: .2rem;
  box-shadow: 0 0 0 1px rgba(0, 0, 0, .55); }
.stHtml .v-face { border: 2px solid #fff; }
.stHtml .v-line { border: 1.5px dashed #fff; }
.stHtml .v-plane { --v-axis: color-mix(in srgb, currentColor 22%, transparent);
  position: relative; aspect-ratio: 1; max-width: 22rem; margin: .4rem auto;
  border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem;
  background:
    linear-gradient(var(--v-axis) 0 0) center / 100% 1px no-repeat,
    linear-gradient(var(--v-axis) 0 0) center / 1px 100% no-repeat; }
.stHtml .v-plane > * { position: absolute; }
.stHtml .v-edge { font-size: .8rem; opacity: .75; }
.stHtml .v-top { top: .2rem; left: calc(50% + .4rem); }
.stHtml .v-bottom { bottom: .2rem; left: calc(50% + .4rem); }
.stHtml .v-left { left: .4rem; top: calc(50% + .1rem); }
.stHtml .v-right { right: .4rem; top: calc(50% + .1rem); }
.stHtml .v-dot { width: .7rem; height: .7rem; margin: -.35rem; border-radius: 50%; }
.stHtml .v-dot > span { position: absolute; left: 1rem; top: -.35rem; font-size: .85rem; }
.stHtml .v-before > span { left: auto; right: 1rem; }
.stHtml .v-moment { width: .3rem; height: .3rem; margin: -.15rem; border-radius: 50%;
  background: color-mix(in srgb, currentColor 55%, transparent); }
.stHtml .v-ring { width: 1.7rem; height: 1.7rem; margin: -.85rem; border-radius: 50%;
  border: .26rem solid; display: grid; place-items: center; font-weight: 700;
  font-size: .8rem; }
.stHtml .v-scroll { overflow-x: auto; }
.stHtml .v-table { border-collapse: separate; border-spacing: .2rem; width: 100%;
  font-size: .85rem; }
.stHtml .v-table th { font-weight: 500; text-align: left; padding: .15rem .3rem; }
.stHtml .v-table thead th { text-align: center; font-weight: 400; }
.stHtml .v-table td { text-align: center; padding: 0; font-variant-numeric: tabular-nums; }
.stHtml .v-absent td { text-align: left; opacity: .72; padding: .3rem; }
.stHtml .v-cell { display: block; padding: .4rem .15rem; border-radius: .3rem; white-space: nowrap;
  border: 1px solid transparent; }
.stHtml .v-none { opacity: .72; }
.stHtml .v-against { border: 1px dashed color-mix(in srgb, currentColor 45%, transparent); }
.stHtml .v-timings td { text-align: right; }
.stHtml :is(.v-said, .v-heard, .v-plain, .v-stages) { list-style: none;
  margin: .3rem 0; padding: 0; }
.stHtml .v-said { max-height: 22rem; overflow-y: auto; }
.stHtml .v-said li { display: grid; grid-template-columns: 3.4rem 1fr; margin: 0 0 .35rem;
  padding: 0; overflow-wrap: anywhere; }
.stHtml .v-said time { opacity: .72; font-variant-numeric: tabular-nums; }
.stHtml .v-heard li { display: grid; grid-template-columns: 1fr auto; gap: .15rem .6rem;
  margin: 0 0 .55rem; padding: 0; font-size: .95rem; overflow-wrap: anywhere; }
.stHtml .v-heard .v-track { grid-column: 1 / -1; }
.stHtml .v-plain li { margin: 0 0 .3rem; padding: 0; overflow-wrap: anywhere; }
.stHtml .v-caption { margin: .2rem 0; padding: .1rem 0 .1rem .9rem; font-size: 1.15rem;
  border-left: 3px solid color-mix(in srgb, currentColor 30%, transparent); }
.stHtml .v-caption p { margin: 0; }
.stHtml .v-stages { max-width: 44rem; }
.stHtml .v-stages li { display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr 6.5rem;
  align-items: center; gap: .15rem .8rem; margin: 0 0 .4rem; padding: 0; font-size: .95rem; }
.stHtml .v-stages li > :nth-child(3) { font-variant-numeric: tabular-nums; }
.stHtml .v-stages li > :nth-child(4) { grid-column: 2 / -1; }
.stHtml .v-stages .v-waiting { opacity: .72; }
.stHtml .v-stages .v-working { font-weight: 600; }
@media (max-width: 640px) {
  .stHtml .v-answer { font-size: 2.1rem; }
  .stHtml .v-frames { grid-template-columns: repeat(2, 1fr); }
  .stHtml .v-table { font-size: .7rem; border-spacing: .1rem; }
  .stHtml .v-cell { padding: .4rem 0; letter-spacing: -.02em; }
  .stHtml .v-stages li { grid-template-columns: 8rem 1fr 5rem; }
}
</style>"""


def show_heading(title: str) -> None:
    """A heading of one of a page's parts, smaller than st.header."""
    st.html(f'<h2 class="v-section">{title}</h2>')
