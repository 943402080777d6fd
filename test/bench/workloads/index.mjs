import w1 from './w1-burst.mjs';
import w2 from './w2-paced.mjs';
import w4 from './w4-tasks.mjs';
import w5 from './w5-end-to-end.mjs';

/** In the order in which they are played and published. */
export const workloads = [w1, w2, w4, w5];
