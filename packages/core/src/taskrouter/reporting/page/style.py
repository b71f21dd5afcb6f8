"""The one stylesheet of our pages: it follows the reader's colour scheme and the width of the window."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--muted:#57606a;--line:#d0d7de;--soft:#f4f6f8;--accent:#0b6b5d;
--bar:#0b6b5d;--bad:#a8201a;--warn:#7a4b00;--good:#116329;--routed:#5b3fb5}
@media (prefers-color-scheme:dark){:root{--paper:#10151b;--ink:#e6edf3;--muted:#a3adb8;--line:#343c46;--soft:#1a2129;
--accent:#5accb4;--bar:#37a08b;--bad:#ff9a90;--warn:#e8b95c;--good:#76d293;--routed:#b7a2ff}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:2rem auto;
padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .2rem}
h2{font-size:1.3rem;margin:3rem 0 .4rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1.02rem;margin:1.8rem 0 .3rem}
p{max-width:46rem}
header p{max-width:none}
p.note,figcaption,.small{color:var(--muted);margin-top:0}
figcaption,.small{font-size:.88rem}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-100rem}
.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.4rem .8rem;z-index:2}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin:1rem 0 0}
nav a{display:inline-block;padding:.2rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));gap:1rem;margin:1.4rem 0 0}
.card{border:1px solid var(--line);border-radius:10px;padding:1rem 1.2rem;background:var(--soft)}
.card h2{all:unset;display:block;font-size:.95rem;font-weight:600;color:var(--muted)}
.card .big{font-size:2.1rem;font-weight:650;line-height:1.2;margin:.3rem 0 .4rem;font-variant-numeric:tabular-nums}
.card p{margin:.25rem 0 0;font-size:.94rem}
.card ul{margin:.2rem 0 0;padding-left:1.1rem;font-size:.94rem}
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:0 2rem;align-items:start}
.pair>*{min-width:0}
.scroll{overflow-x:auto;margin:.6rem 0 1rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;font-weight:600;padding:.2rem 0 .3rem}
th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap;vertical-align:top}
th{font-weight:600}
thead th{color:var(--muted);font-size:.86rem;vertical-align:bottom}
tbody th{font-weight:400}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.w,th.w{white-space:normal;overflow-wrap:anywhere;min-width:8rem;max-width:22rem}
tr.chosen,tr.sum{background:var(--soft);font-weight:600}
tr.sum th{font-weight:600}
.within{display:block;color:var(--muted);font-size:.82rem}
.bar{display:inline-block;height:.7rem;background:var(--bar);border-radius:2px;vertical-align:middle}
.of{display:inline-block;min-width:3.6rem}
.track{display:inline-block;width:4rem;margin-right:.6rem;text-align:left}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);padding:1rem;border-radius:6px;font-size:.84rem;
line-height:1.5}
details{margin:.3rem 0;border:1px solid var(--line);border-radius:6px;padding:.1rem .8rem}
summary{cursor:pointer;padding:.45rem 0;overflow-wrap:anywhere}
summary b{font-variant-numeric:tabular-nums}
figure{margin:1rem 0}
svg{width:100%;height:auto;max-width:34rem;display:block}
svg text{font:13px system-ui,sans-serif;fill:var(--ink)}
svg .name{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
svg .soft{fill:var(--muted);font-size:12px}
svg .axis{stroke:var(--line);stroke-width:1;fill:none}
svg .hull{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:5 4;fill:none}
svg .of-model,svg .of-incumbent{stroke:var(--accent);fill:var(--accent);stroke-width:2}
svg .of-routed{stroke:var(--routed);fill:var(--routed);stroke-width:2}
svg .hollow{fill:var(--paper)}
svg .spent{fill:var(--bar)}
svg .would{fill:none;stroke:var(--muted);stroke-dasharray:3 2}
svg .out{fill:var(--bad)}
svg .fine{fill:var(--line)}
@media (max-width:30rem){body{margin:1rem auto}.card .big{font-size:1.8rem}h2{margin-top:2.2rem}
th,td{padding:.4rem .5rem}
thead th:first-child,tbody th{position:sticky;left:0;background:var(--paper)}
td.w,th.w{min-width:6.5rem;max-width:9rem}tr.sum th{background:var(--soft)}}
@media print{nav,.skip{display:none}.scroll{overflow:visible}}
"""
