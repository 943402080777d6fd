import p1 from './p1-one-node.mjs';
import p2 from './p2-elsewhere.mjs';
import p3 from './p3-tasks.mjs';
import p4 from './p4-storm.mjs';
import p5 from './p5-fan-out.mjs';
import w1 from './w1-burst.mjs';
import w2 from './w2-paced.mjs';
import w3 from './w3-http.mjs';
import w4 from './w4-tasks.mjs';
import w5 from './w5-end-to-end.mjs';
import w6 from './w6-idle.mjs';
import w7 from './w7-boot.mjs';
import w8 from './w8-fan-out.mjs';
import w9 from './w9-storm.mjs';
import w10 from './w10-short.mjs';
import w11 from './w11-starts.mjs';
import w12 from './w12-growth.mjs';
import w13 from './w13-python.mjs';
import w14 from './w14-responses.mjs';
import w15 from './w15-broadcast.mjs';

/** In the order in which they are played and published: one server, then several. */
export const workloads = [
  w1,
  w2,
  w3,
  w4,
  w5,
  w6,
  w7,
  w8,
  w9,
  w10,
  w11,
  w12,
  w13,
  w14,
  w15,
  p1,
  p2,
  p3,
  p4,
  p5,
];
