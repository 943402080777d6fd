import { recall, remember } from './storage.js';
import { words } from './words.js';

const next = { system: 'light', light: 'dark', dark: 'system' };

/** Makes a button cycle through the themes: system, light, dark. @param {HTMLButtonElement} button */
export function startThemeButton(button) {
  let theme = /** @type {keyof typeof next} */ (recall('theme') ?? 'system');
  if (!(theme in next)) theme = 'system';
  const show = () => {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.dataset.shows = theme;
    button.setAttribute('aria-label', words.colours(theme));
    button.title = words.colours(theme);
    document.dispatchEvent(new Event('themechange'));
  };
  button.addEventListener('click', () => {
    theme = /** @type {keyof typeof next} */ (next[theme]);
    remember('theme', theme);
    show();
  });
  show();
}
