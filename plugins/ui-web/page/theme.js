// A classic script: it runs before the first paint, so that the page does not flash in other colours.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem('waggle:theme');
  } catch {
    // Without storage the system setting applies.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
