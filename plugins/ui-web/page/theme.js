// A classic script: it runs before the first paint, so that no page flashes in the other colours.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem('waggle:theme');
  } catch {
    // Without storage the system's choice counts.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
