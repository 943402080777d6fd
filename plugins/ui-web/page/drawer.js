import { computed, effect, signal } from '@preact/signals';

const narrow = matchMedia('(max-width: 50rem)');
const isNarrow = signal(narrow.matches);

/** Whether the side is open: a column on wide screens, an overlay on narrow ones. */
export const isSideOpen = signal(!narrow.matches);

/** Whether it covers the page. */
export const sideCovers = computed(() => isNarrow.value && isSideOpen.value);

narrow.addEventListener('change', () => {
  isNarrow.value = narrow.matches;
  isSideOpen.value = !narrow.matches;
});

effect(() => {
  document.body.classList.toggle('side-open', isSideOpen.value);
});

/** Opens or closes the side, and takes the focus along. */
export function toggleSide() {
  const opens = !isSideOpen.value;
  isSideOpen.value = opens;
  focusLater(opens ? '#side button, #side a' : '#toggle-side');
}

/** Closes it if it covers the page. */
export function closeSide() {
  if (sideCovers.value) isSideOpen.value = false;
}

/** Focuses an element once it is not inert any more. @param {string} selector */
function focusLater(selector) {
  requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector(selector))?.focus());
}
