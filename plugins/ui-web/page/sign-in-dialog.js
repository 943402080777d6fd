import { useLayoutEffect, useRef } from 'preact/hooks';
import { html } from './html.js';
import { signIn } from './session.js';
import { words } from './words.js';

/** The sign-in form, while it is asked who one is. */
export function SignInDialog() {
  return signIn.asked.value ? html`<${Form} />` : null;
}

function Form() {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { why = '', mayWait = false } = signIn.asked.value ?? {};
  const wrong = signIn.wrong.value;
  useLayoutEffect(() => {
    box.current?.showModal();
    field.current?.focus();
    return () => box.current?.close();
  }, []);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!(await signIn.try(field.current?.value.trim() ?? ''))) field.current?.select();
  };
  // A browser closes a dialog at the second Escape in any case.
  const onClose = () => {
    if (mayWait) signIn.end(undefined);
    else if (box.current?.isConnected) box.current.showModal();
  };
  const onCancel = (/** @type {Event} */ event) => {
    if (!mayWait) event.preventDefault();
  };
  return html`<dialog
    id="sign-in" class=${mayWait ? '' : 'covers'} aria-labelledby="sign-in-title" aria-describedby="sign-in-why" ref=${box}
    onCancel=${onCancel} onClose=${onClose}
  >
    <form onSubmit=${submit}>
      <h2 id="sign-in-title">${words.signIn}</h2>
      <p id="sign-in-why" class="why faint">${why}</p>
      <label for="token">${words.token}</label>
      <input
        id="token" ref=${field} type="password" autocomplete="current-password" autocapitalize="none" spellcheck="false" required
        aria-describedby="token-wrong" aria-invalid=${wrong ? 'true' : undefined}
      />
      <p id="token-wrong" class="wrong" role="alert">${wrong}</p>
      <div class="row">
        ${mayWait && html`<button type="button" class="later" onClick=${() => signIn.end(undefined)}>${words.later}</button>`}
        <button type="submit" class="primary" disabled=${signIn.isBusy.value}>${words.signIn}</button>
      </div>
    </form>
  </dialog>`;
}
