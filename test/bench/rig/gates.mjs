/** Gates of the row of ours with this label, or of the one without a label, against that of another server. */
const pair = ({ name }, label) =>
  label ? { ours: `waggle, ${label}`, theirs: `${name}, ${label}` } : { ours: 'waggle', theirs: name };
const about = (label, text) => (label ? `${label}: ${text}` : text);

export const ahead = (server, label) => ({
  text: about(label, `ahead of ${server.name}, quartiles apart`),
  ...pair(server, label),
  apart: true,
});

export const atMost = (factor, server, label) => ({
  text: about(label, `at most ${factor} times ${server.name}`),
  ...pair(server, label),
  factor,
});
