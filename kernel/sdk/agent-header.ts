/** Says in the head of an answer who gave it. */
export function agentHeader(agent: string): Readonly<Record<string, string>> {
  const name = agent.replace(/\p{Cs}/gu, '?').replace(/[^ -~]/gu, encodeURIComponent);
  return { 'x-waggle-agent': name };
}
