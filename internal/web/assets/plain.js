// Loads the page where the browser can show it. Where it cannot, too old as it is,
// it says so and shows what every browser can: the cameras' pictures. This file is
// therefore written as browsers of fifteen years ago read it.
(function () {
  "use strict";

  function missing() {
    var w = window, list = [];
    function need(what, has) {
      if (!has) list.push(what);
    }
    need("JavaScript modules", "noModule" in document.createElement("script"));
    need("WebSocket", w.WebSocket);
    need("ImageDecoder or createImageBitmap", w.ImageDecoder || w.createImageBitmap);
    need("BigInt", w.BigInt && w.DataView && DataView.prototype.setBigUint64);
    need("AbortSignal.timeout", w.AbortSignal && AbortSignal.timeout);
    need("ResizeObserver", w.ResizeObserver && w.IntersectionObserver);
    need("dialogs", w.HTMLDialogElement);
    need("Array.at", Array.prototype.at && String.prototype.replaceAll);
    return list;
  }

  function add(to, tag, text) {
    var e = document.createElement(tag);
    if (text) e.appendChild(document.createTextNode(text));
    to.appendChild(e);
    return e;
  }

  var done = false;
  function plain(why) {
    if (done) return;
    done = true;
    var main = document.getElementById("main");
    while (main.firstChild) main.removeChild(main.firstChild);
    main.className = "plain";
    document.documentElement.className = "plainly";
    add(main, "h2", "This browser cannot show the whole page");
    add(main, "p", why + " A current Chrome, Edge, Firefox or Safari can. Here are the pictures alone, without figures and settings.");
    var request = new XMLHttpRequest();
    request.open("GET", "cameras");
    request.onload = function () {
      var all = request.status === 200 ? JSON.parse(request.responseText) : [];
      if (all.length === 0) add(main, "p", "There is no camera yet: load the page again when there is one.");
      for (var i = 0; i < all.length; i++) {
        var figure = add(main, "figure"), picture = add(figure, "img");
        picture.alt = "live picture of camera " + all[i].name;
        picture.src = "cameras/" + encodeURIComponent(all[i].name) + "/stream?early=1";
        add(figure, "figcaption", all[i].name);
      }
    };
    request.send();
  }

  var lacks = missing();
  if (lacks.length > 0) {
    plain("It lacks " + lacks.join(", ") + ".");
    return;
  }
  // A module that this browser cannot read, or that does not come.
  var script = document.createElement("script");
  script.type = "module";
  script.src = "assets/page.js";
  script.onerror = function () {
    plain("The page's program did not come.");
  };
  window.addEventListener("error", function (e) {
    if (e.error instanceof SyntaxError) plain("It cannot read the page's program.");
  });
  document.head.appendChild(script);
})();
