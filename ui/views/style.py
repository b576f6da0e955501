"""The look of what the result's page writes as HTML. Colours follow Streamlit's theme."""

STYLE = """<style>
.v-name { font-size: 2rem; font-weight: 650; line-height: 1.2; margin: 0; padding: 0;
  overflow-wrap: anywhere; }
.v-quiet { opacity: .72; font-size: .9rem; margin: .15rem 0; }
.v-answer { font-size: 2.6rem; font-weight: 650; line-height: 1.15; margin: .2rem 0 .4rem;
  padding: 0; }
.v-section { font-size: 1.15rem; font-weight: 600; margin: .6rem 0 0; padding: 0; }
.v-share { font-weight: 400; opacity: .8; white-space: nowrap; }
.v-mark { display: inline-block; width: .34em; height: .85em; border-radius: .12em;
  margin-right: .28em; }
.v-track { display: block; height: .45rem; border-radius: .25rem; overflow: hidden;
  background: color-mix(in srgb, currentColor 14%, transparent); }
.v-track > span { display: block; height: 100%; border-radius: .25rem;
  background: color-mix(in srgb, currentColor 62%, transparent); }
.v-frames { display: grid; gap: .9rem .7rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.v-frames figure { margin: 0; min-width: 0; }
.v-frame { position: relative; border-radius: .4rem; overflow: hidden; line-height: 0;
  background: color-mix(in srgb, currentColor 8%, transparent); }
.v-frame img { width: 100%; height: auto; display: block; }
.v-frames figcaption { font-size: .82rem; margin-top: .25rem; line-height: 1.3; }
.v-frames .v-quiet { font-size: .82rem; }
.v-box { position: absolute; border-radius: .2rem;
  box-shadow: 0 0 0 1px rgba(0, 0, 0, .65), inset 0 0 0 1px rgba(0, 0, 0, .65); }
.v-face { border: 2px solid #fff; }
.v-line { border: 2px dashed #fff; }
.v-scroll { overflow-x: auto; }
.v-table { border-collapse: separate; border-spacing: .2rem; width: 100%; font-size: .85rem; }
.v-table th { font-weight: 500; text-align: left; padding: .15rem .3rem; }
.v-table thead th { text-align: center; font-weight: 400; }
.v-table td { text-align: center; padding: 0; font-variant-numeric: tabular-nums; }
.v-absent td { text-align: left; opacity: .72; padding: .3rem; }
.v-cell { display: block; padding: .4rem .15rem; border-radius: .3rem; white-space: nowrap;
  border: 1px solid transparent; }
.v-none { opacity: .6; }
.v-against { border: 1px dashed color-mix(in srgb, currentColor 45%, transparent); }
.v-timings td { text-align: right; }
.v-said, .v-heard, .v-plain, .v-stages { list-style: none; margin: .3rem 0; padding: 0; }
.v-said { max-height: 22rem; overflow-y: auto; }
.v-said li { display: grid; grid-template-columns: 3.4rem 1fr; margin: 0 0 .35rem; padding: 0;
  overflow-wrap: anywhere; }
.v-said time { opacity: .72; font-variant-numeric: tabular-nums; }
.v-heard li { display: grid; grid-template-columns: minmax(6rem, 10rem) 1fr 3.2rem;
  align-items: center; gap: .6rem; margin: 0 0 .35rem; padding: 0; font-size: .95rem; }
.v-heard li > :last-child { text-align: right; font-variant-numeric: tabular-nums; }
.v-plain li { margin: 0 0 .3rem; padding: 0; overflow-wrap: anywhere; }
.v-caption { margin: .2rem 0; padding: .1rem 0 .1rem .9rem; font-size: 1.15rem;
  border-left: 3px solid color-mix(in srgb, currentColor 30%, transparent); }
.v-caption p { margin: 0; }
.v-stages { max-width: 44rem; }
.v-stages li { display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr 6.5rem;
  align-items: center; gap: .15rem .8rem; margin: 0 0 .4rem; padding: 0; font-size: .95rem; }
.v-stages li > :nth-child(3) { font-variant-numeric: tabular-nums; }
.v-stages li > :nth-child(4) { grid-column: 2 / -1; }
.v-stages .v-waiting { opacity: .6; }
.v-stages .v-working { font-weight: 600; }
@media (max-width: 640px) {
  .v-answer { font-size: 2.1rem; }
  .v-frames { grid-template-columns: repeat(2, 1fr); }
  .v-table { font-size: .75rem; border-spacing: .1rem; }
  .v-stages li { grid-template-columns: 8rem 1fr 5rem; }
}
</style>"""
