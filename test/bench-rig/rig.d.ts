// The bench is plain JavaScript: Node runs it as it is.
declare module '*.mjs';
