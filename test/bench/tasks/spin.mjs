/** The work of all pools: nothing, or so many microseconds of it. */
export default function spin(us) {
  if (us === 0) return 0;
  const end = performance.now() + us / 1000;
  while (performance.now() < end);
  return us;
}
