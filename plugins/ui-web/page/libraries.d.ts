declare module '@highlightjs/cdn-assets/es/highlight.min.js' {
  const highlighter: {
    getLanguage(name: string): object | undefined;
    highlight(code: string, options: { language: string; ignoreIllegals: boolean }): { value: string };
  };
  export default highlighter;
}
