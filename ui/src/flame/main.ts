// A flame graph as a file of its own: what `strobe flame --html` writes.
//
// build/ui/dist-flame/flame.html holds exactly one
//     <script type="application/json" id="profile"></script>
// The writer copies the file and puts one JSON object between these two tags, every "<" in it written as
// "\u003c" (so that no text in it ends the script). The object, all integers, times of the wall clock in
// microseconds since 1970 (0: unknown):
//   {
//     "title": "python3 1234",          shown as the page's title; "" for none
//     "host": "web-07",                 "" for none
//     "version": "1.0.0",               of the agent; may be left out
//     "from": 1795198936060000, "to": 1795198944460000,
//     "base_from": 0, "base_to": 0,     of the baseline; may be left out
//     "off_cpu": false,                 true: weights are time blocked; may be left out
//     "sum": {"n": 12518, "weight_us": 126444444, "span_us": 8400000, "covered_us": 8400000,
//             "shallow": 388, "truncated": 0, "lost": 0, "throttled": 0,
//             "hz_min": 99, "hz_max": 99, "n_cpus": 32},
//     "base": {...},                    the same of the baseline; left out without one
//     "strings": ["", "all", "java 18211", ...],
//     "depth": [0, 1, 2, ...],          parallel from here on, one a node, depth first; node 0 is the root
//     "name": [1, 2, 7, ...],           index into strings
//     "module": [0, 0, 9, ...],         index into strings; left out: none
//     "type": [0, 6, 1, ...],           enum FrameType of proto/strobe.proto; left out: all 1
//     "total_us": [...], "self_us": [...],
//     "base_total_us": [...], "base_self_us": [...],   left out without a baseline
//     "left_out": 0,                    nodes, the smallest; may be left out
//     "missing": ["libfoo.so: ..."]     modules without names; may be left out
//   }
// Unknown keys are ignored, keys of "sum" that are left out count as 0. Children may come in any order.
import '../styles/tokens.css';
import '../styles/panels.css';
import '../styles/shell.css';
import '../styles/profile.css';
import { start } from './app';

start();
