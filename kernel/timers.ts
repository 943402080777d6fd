/** How many timers keep the process alive. */
export function runningTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}
