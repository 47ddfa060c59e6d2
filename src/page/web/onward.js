// On the page before the encrypted one: what its address has behind the `#`, a token perhaps, goes on with whoever goes on.
// No server is told of it, so nobody else can hand it on.

function carry() {
  /** @type {NodeListOf<HTMLAnchorElement>} */
  const links = document.querySelectorAll("a[data-onward]");
  links.forEach((link) => { link.hash = location.hash; });
}

window.addEventListener("hashchange", carry);
carry();
