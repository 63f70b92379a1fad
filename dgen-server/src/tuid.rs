//! What names a server of a type in its tenant.

use std::fmt;

use dgen_backend::tuple::{Element, PackError, TuplePack, TupleUnpack, pack, unpack};

/// The id of a server among those of its type: a tuple, `"demo"`, `17`, `("eu", 17)`, or `()` where
/// there is only one.
///
/// With the type's stored name in front it is the key tuple that names the server in its tenant,
/// so servers of different types never share an id.
///
/// # Examples
/// ```
/// use dgen_server::Tuid;
/// assert_eq!(Tuid::from("demo").to_string(), r#"("demo")"#);
/// assert_eq!(Tuid::from(("eu", 17)).to_string(), r#"("eu", 17)"#);
/// assert_eq!(Tuid::from(()), Tuid::default());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Tuid {
    packed: Vec<u8>,
}

impl Tuid {
    /// Whether it is `()`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The id as the tuple it was made of.
    ///
    /// # Errors
    /// It is another tuple.
    ///
    /// # Examples
    /// ```
    /// use dgen_server::Tuid;
    /// let (region, number): (String, u64) = Tuid::from(("eu", 17)).unpack()?;
    /// assert_eq!((region.as_str(), number), ("eu", 17));
    /// let name: String = Tuid::from("demo").unpack()?;
    /// assert_eq!(name, "demo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unpack<'a, T: TupleUnpack<'a>>(&'a self) -> Result<T, PackError> {
        unpack(&self.packed)
    }

    /// As one element of a tuple, so that no id is the beginning of another's keys.
    pub(crate) fn element(&self) -> Element<'_> {
        Element::Tuple(self.elements())
    }

    fn elements(&self) -> Vec<Element<'_>> {
        unpack(&self.packed).expect("an id was packed by this type")
    }
}

impl<T: TuplePack> From<T> for Tuid {
    fn from(id: T) -> Self {
        Self { packed: pack(&id) }
    }
}

impl fmt::Display for Tuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "(";
        for element in self.elements() {
            f.write_str(separator)?;
            separator = ", ";
            match element {
                Element::String(text) => write!(f, "{text:?}")?,
                Element::Int(number) => write!(f, "{number}")?,
                other => write!(f, "{other:?}")?,
            }
        }
        f.write_str(if separator == "(" { "()" } else { ")" })
    }
}

impl fmt::Debug for Tuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
