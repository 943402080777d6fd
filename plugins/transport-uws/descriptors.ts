import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';

/** Whether this process could open so many more files. */
export function areLeft(count: number): boolean {
  const opened: number[] = [];
  try {
    while (opened.length < count) opened.push(openSync(devNull, 'r'));
    return true;
  } catch (error) {
    return !/^E[MN]FILE$/.test((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    for (const each of opened) closeSync(each);
  }
}
