//! Each mistake in a method, and what it is told.

use quote::quote;

use super::mistake;

/// SPEC M3
#[test]
fn a_mistake_says_what_to_write_instead() {
    let cases = [
        (
            quote!(
                #[call]
                fn f(&self, a: &str) {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, a: Option<&[u8]>) {}
            ),
            "write `Vec<u8>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, a: Cow<'_, str>) {}
            ),
            "write `'static`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, cx: &Context<Self>) {}
            ),
            "write `&mut Context<Self>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, a: impl Into<u8>) {}
            ),
            "write the type's name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, (a, b): (u8, u8)) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, _: u8) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, ref a: u8) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, #[cfg(unix)] a: u8) {}
            ),
            "two whole handlers",
        ),
        (
            quote!(
                #[call]
                async fn f(&self) {}
            ),
            "without `async`",
        ),
        (
            quote!(
                #[call]
                unsafe fn f(&self) {}
            ),
            "without `unsafe`",
        ),
        (
            quote!(
                #[call]
                fn f<T>(&self, a: T) {}
            ),
            "parameter of the `impl`",
        ),
        (
            quote!(
                #[call]
                fn f<'a>(&'a self) {}
            ),
            "remove the lifetime",
        ),
        (
            quote!(
                #[call]
                fn f(&self)
                where
                    u8: Copy,
                {
                }
            ),
            "move them to the `impl`",
        ),
        (
            quote!(
                #[call]
                fn f() {}
            ),
            "begin with `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(a: u8) {}
            ),
            "begin with `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(self) {}
            ),
            "write `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(self: Box<Self>) {}
            ),
            "write `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> &str {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> impl Copy {}
            ),
            "write the type's name",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> io::Result<u8> {}
            ),
            "write `Result<T, E>`",
        ),
        (
            quote!(
                #[call]
                fn start(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[call]
                fn start_with(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[call]
                fn client(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[cast]
                fn batch(&mut self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[call]
                fn client_with(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[cast]
                fn cast(&mut self) {}
            ),
            "the batch has a `cast` of its own: choose another name",
        ),
        (
            quote!(
                #[call(quick)]
                fn f(&self) {}
            ),
            "there is no option `quick`: write `locked`, `timeout = ..`, `rename = \"..\"` or `alias = \"..\"`",
        ),
        (
            quote!(
                #[call("quick")]
                fn f(&self) {}
            ),
            "write `locked`",
        ),
        (
            quote!(
                #[call = 5]
                fn f(&self) {}
            ),
            "write `locked`",
        ),
        (
            quote!(
                #[call(timeout)]
                fn f(&self) {}
            ),
            "write `timeout = Duration::from_secs(30)`",
        ),
        (
            quote!(
                #[call(timeout = 5)]
                fn f(&self) {}
            ),
            "write `timeout = Duration::from_secs(5)`",
        ),
        (
            quote!(
                #[cast(timeout = "5s")]
                fn f(&mut self) {}
            ),
            "write `timeout = Duration::from_secs(30)`",
        ),
        (
            quote!(
                #[call(timeout = a(), timeout = b())]
                fn f(&self) {}
            ),
            "keep one of them",
        ),
        (
            quote!(
                #[cast(rename = a)]
                fn f(&mut self) {}
            ),
            "write it between quotes",
        ),
        (
            quote!(
                #[cast(rename = "")]
                fn f(&mut self) {}
            ),
            "at least one character",
        ),
        (
            quote!(
                #[cast(alias)]
                fn f(&mut self) {}
            ),
            "write `alias = \"..\"`",
        ),
        (
            quote!(
                #[cast(alias = "f")]
                fn f(&mut self) {}
            ),
            "`f` is given twice",
        ),
        (
            quote!(
                #[call(rename = "g")]
                #[serde(rename = "h")]
                fn f(&self) {}
            ),
            "gives the stored name already",
        ),
        (
            quote!(
                #[call(locked = true)]
                async fn f(&self) {}
            ),
            "write just `locked`",
        ),
        (
            quote!(
                #[call(locked, locked)]
                async fn f(&self) {}
            ),
            "keep one of them",
        ),
        (
            quote!(
                #[call(locked)]
                fn f(&self) {}
            ),
            "write `async fn`",
        ),
        (
            quote!(
                #[cast]
                async fn f(&mut self) {}
            ),
            "write `#[cast(locked)]`, or `fn` without `async`",
        ),
        (
            quote!(
                #[call(locked)]
                async fn f(self) {}
            ),
            "write `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[cast(locked)]
                async fn f(&self, cx: &mut Context<Self>) {}
            ),
            "write `&mut Locked<Self>`",
        ),
        (
            quote!(
                #[cast(locked)]
                async fn f(&self, cx: &Locked<Self>) {}
            ),
            "write `&mut Locked<Self>`",
        ),
        (
            quote!(
                #[cast]
                fn f(&mut self, cx: &mut Locked<Self>) {}
            ),
            "write `&mut Context<Self>`",
        ),
        (
            quote!(
                #[call(locked)]
                async fn f(&self) -> Deferred<u8> {}
            ),
            "write `u8`",
        ),
        (
            quote!(
                #[call(locked)]
                async fn f(&self) -> Deferred<u8, E> {}
            ),
            "write `Result<u8, E>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> Result<Deferred<u8>, E> {}
            ),
            "return `Deferred<u8, E>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> Deferred<&str> {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[info]
                fn f(&self) {}
            ),
            "write `&mut self`",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self) -> u8 {}
            ),
            "write `#[call]`",
        ),
        (
            quote!(
                #[info]
                async fn f(&mut self) {}
            ),
            "without `async`",
        ),
        (
            quote!(
                #[info(locked)]
                async fn f(&mut self) {}
            ),
            "write `#[cast(locked)]`",
        ),
        (
            quote!(
                #[info(rename = "g")]
                fn f(&mut self) {}
            ),
            "write just `#[info]`",
        ),
        (
            quote!(
                #[info]
                #[serde(alias = "g")]
                fn f(&mut self) {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, #[serde(default)] a: u8) {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, (a, b): (u8, u8)) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, a: &str) {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, cx: &mut Locked<Self>) {}
            ),
            "write `&mut Context<Self>`",
        ),
        (
            quote!(
                #[init(quick)]
                fn f() -> Self {}
            ),
            "write just `#[init]`",
        ),
        (
            quote!(
                #[call]
                #[call]
                fn f(&self) {}
            ),
            "keep one of them",
        ),
        (
            quote!(
                #[call]
                #[cast]
                fn f(&mut self) {}
            ),
            "keep the one you mean",
        ),
        (
            quote!(
                #[cast]
                fn f(&self) {}
            ),
            "write `&mut self`",
        ),
        (
            quote!(
                #[cast]
                fn f(&mut self) -> u8 {}
            ),
            "write `#[call]`",
        ),
        (
            quote!(
                #[init]
                fn f(&self) -> Self {}
            ),
            "remove `self`",
        ),
        (
            quote!(
                #[init]
                fn f() {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                fn f() -> u8 {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                fn f() -> Option<Self> {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                fn f() -> Result<Self> {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                async fn f() -> Self {}
            ),
            "without `async`",
        ),
        (
            quote!(
                #[init]
                fn f(a: &str) -> Self {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[init]
                fn f(cx: &mut Context<Self>) -> Self {}
            ),
            "remove the parameter",
        ),
        (
            quote!(
                #[init]
                fn f(#[serde(default)] a: u8) -> Self {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[init]
                #[serde(default)]
                fn f() -> Self {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[init]
                #[cfg(unix)]
                fn f() -> Self {}
            ),
            "inside the function",
        ),
        (
            quote!(
                fn f(&self, #[serde(default)] a: u8) {}
            ),
            "`#[call]` or `#[cast]`",
        ),
    ];
    for (method, advice) in cases {
        let shown = method.to_string();
        let found = mistake(method);
        assert!(found.contains(advice), "{shown}: {found}");
    }
}
