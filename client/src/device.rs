//! Which device trains: chosen by name at run time, among those that were built in.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// Highest index of a GPU that a name may have. More in one machine is a typing error.
const INDEX_MAX: usize = 255;

/// A device by name: `auto`, `cpu`, `wgpu:N`, `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU that a built-in feature finds; the CPU if there is none.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU through Vulkan, Metal or DX12, counted from 0 (feature `wgpu`).
    Wgpu(usize),
    /// An NVIDIA GPU, counted from 0 (feature `cuda`).
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device has such a name.
    #[error("{0:?} is no device; write auto, cpu, wgpu:N or cuda:N, with N from 0 to {INDEX_MAX}")]
    Unknown(String),
    /// The device exists, but this program was built without it.
    #[error(
        "device {choice} is not built in; build with `--features {feature}`, or choose one of: {}",
        built_in().join(", ")
    )]
    NotBuiltIn {
        /// What was asked for.
        choice: DeviceChoice,
        /// The feature that has it.
        feature: &'static str,
    },
    /// This machine has fewer of them.
    #[error("device {choice} is not there, {found} such devices were found; check the driver, or choose cpu or auto")]
    Absent {
        /// What was asked for.
        choice: DeviceChoice,
        /// How many there are.
        found: usize,
    },
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    /// Reads a name. `wgpu` and `cuda` alone mean the first.
    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(text.chars().take(40).collect());
        let (kind, index) = text.split_once(':').map_or((text, None), |(kind, index)| (kind, Some(index)));
        let number = match index {
            None => 0,
            Some(index) => index.parse().ok().filter(|n| *n <= INDEX_MAX).ok_or_else(unknown)?,
        };
        let choice = match (kind, index) {
            ("auto", None) => Self::Auto,
            ("cpu", None) => Self::Cpu,
            ("wgpu", _) => Self::Wgpu(number),
            ("cuda", _) => Self::Cuda(number),
            _ => return Err(unknown()),
        };
        match choice {
            Self::Wgpu(_) if !cfg!(feature = "wgpu") => Err(DeviceError::NotBuiltIn { choice, feature: "wgpu" }),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(DeviceError::NotBuiltIn { choice, feature: "cuda" }),
            Self::Auto | Self::Cpu | Self::Wgpu(_) | Self::Cuda(_) => Ok(choice),
        }
    }
}

/// The names that this program understands.
#[must_use]
pub fn built_in() -> Vec<&'static str> {
    let gpus = [("wgpu:N", cfg!(feature = "wgpu")), ("cuda:N", cfg!(feature = "cuda"))];
    let gpus = gpus.into_iter().filter(|(_, built)| *built).map(|(name, _)| name);
    ["auto", "cpu"].into_iter().chain(gpus).collect()
}

impl DeviceChoice {
    /// The device itself, which does not record for a backward pass.
    ///
    /// # Errors
    /// When the device is not built in, or this machine has fewer of them.
    pub fn open(self) -> Result<Device, DeviceError> {
        let nth = |mut devices: Vec<Device>, index: usize| {
            let found = devices.len();
            if index < found {
                Ok(devices.swap_remove(index))
            } else {
                Err(DeviceError::Absent { choice: self, found })
            }
        };
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Auto => {
                let gpu = cuda_devices().into_iter().chain(wgpu_devices()).flatten().next();
                Ok(gpu.unwrap_or_else(Device::flex))
            }
            Self::Wgpu(index) => match wgpu_devices() {
                Some(devices) => nth(devices, index),
                None => Err(DeviceError::NotBuiltIn { choice: self, feature: "wgpu" }),
            },
            Self::Cuda(index) => match cuda_devices() {
                Some(devices) => nth(devices, index),
                None => Err(DeviceError::NotBuiltIn { choice: self, feature: "cuda" }),
            },
        }
    }
}

/// Whether reading one number from `device` costs next to nothing, because it computes at once and in our memory.
pub(crate) fn reads_are_free(device: &Device) -> bool {
    *device == Device::flex()
}

#[cfg(feature = "wgpu")]
fn wgpu_devices() -> Option<Vec<Device>> {
    Some(Device::enumerate(burn::tensor::DeviceType::Wgpu).into_iter().collect())
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_devices() -> Option<Vec<Device>> {
    None
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Option<Vec<Device>> {
    Some(Device::enumerate(burn::tensor::DeviceType::Cuda).into_iter().collect())
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Option<Vec<Device>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_shown_alike() {
        for name in ["auto", "cpu"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        for bad in ["", "gpu", "cpu:0", "auto:1", "wgpu:", "wgpu:x", "cuda:-1", "cuda:256", "wgpu:0:1"] {
            assert!(matches!(bad.parse::<DeviceChoice>(), Err(DeviceError::Unknown(_))), "{bad:?}");
        }
    }

    #[test]
    #[cfg(not(feature = "wgpu"))]
    fn a_device_that_is_not_built_in_names_its_feature() {
        let error = "wgpu:1".parse::<DeviceChoice>().unwrap_err();
        let text = "device wgpu:1 is not built in; build with `--features wgpu`, or choose one of: auto, cpu";
        assert_eq!(error.to_string(), text);
        assert_eq!(DeviceChoice::Wgpu(1).open().unwrap_err(), error);
    }

    #[test]
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    fn auto_is_the_cpu_where_no_gpu_is_built_in() {
        assert_eq!(DeviceChoice::Auto.open().unwrap(), DeviceChoice::Cpu.open().unwrap());
        assert!(reads_are_free(&DeviceChoice::Auto.open().unwrap()));
    }
}
