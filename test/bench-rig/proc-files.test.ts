import { describe, expect, it } from 'vitest';
import { machineTimesOf, parentOf, residentKbOf, runNsOf, segmentsOf } from '../bench/rig/proc-files.mjs';

describe('the files of /proc', () => {
  it('say how long a thread ran', () => {
    expect(runNsOf('32658255 6397037 106\n')).toBe(32658255);
  });

  it('say what all cores did, with waiting for disks as idle and steal apart', () => {
    const stat = 'cpu  10 1 5 100 20 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n';
    expect(machineTimesOf(stat)).toEqual({ busyNs: 210_000_000, stealNs: 70_000_000, idleNs: 1_200_000_000 });
  });

  it('say who the parent is, also of a process with a difficult name', () => {
    expect(parentOf('42 (node) S 7 42 42 0 -1')).toBe(7);
    expect(parentOf('42 (a) S 1) (b) R 9 42 42 0 -1')).toBe(9);
  });

  it('say how many segments were sent', () => {
    const snmp = 'Ip: A B\nIp: 1 2\nTcp: RtoAlgorithm InSegs OutSegs\nTcp: 1 20 30\n';
    expect(segmentsOf(snmp)).toBe(30);
  });

  it('say how much is resident', () => {
    expect(residentKbOf('00400000-7ffd ---p 0 00:00 0 [rollup]\nRss:   51234 kB\nPss: 1 kB\n')).toBe(51234);
  });
});
