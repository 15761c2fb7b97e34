// A file, not a script in the page: the content security policy allows no other.
(() => {
  const target = document.getElementById("api-docs");
  if (!target) return;
  window.SwaggerUIBundle({
    url: target.dataset.schema,
    domNode: target,
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    // The validator of the default is a stranger's server.
    validatorUrl: null,
  });
})();
