//! The types as strings of a serialised form.

use ::serde::de::Error as _;
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::endpoint::Endpoint;
use crate::kind::EndpointKind;
use crate::partition::Partition;
use crate::pattern::InstancePattern;
use crate::region::Region;

macro_rules! as_string {
    ($type:ty, $text:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.$text())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

as_string!(Endpoint, as_str);
as_string!(EndpointKind, as_str);
as_string!(InstancePattern, as_str);
as_string!(Partition, id);
as_string!(Region, as_str);
