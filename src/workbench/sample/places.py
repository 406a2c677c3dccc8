"""Names of a fictional operator's world: provinces, cities, people, firms. Nobody in it exists."""

from __future__ import annotations

import numpy as np

OPERATORS = ("中国电信", "中国移动", "中国联通")
"""The sample's own operator first, then its competitors."""

_PROVINCES = """
北京 2.2 北京|天津 1.4 天津|河北 7.4 石家庄 唐山 保定|山西 3.5 太原 大同 运城|内蒙古 2.4 呼和浩特 包头
辽宁 4.2 沈阳 大连 鞍山|吉林 2.3 长春 吉林|黑龙江 3.0 哈尔滨 大庆|上海 2.5 上海|江苏 8.5 南京 苏州 无锡
浙江 6.6 杭州 宁波 温州|安徽 6.1 合肥 芜湖|福建 4.2 福州 厦门 泉州|江西 4.5 南昌 赣州
山东 10.1 济南 青岛 烟台|河南 9.8 郑州 洛阳 南阳|湖北 5.8 武汉 宜昌 襄阳|湖南 6.6 长沙 株洲 衡阳
广东 12.7 广州 深圳 东莞 佛山|广西 5.0 南宁 桂林|海南 1.0 海口 三亚|重庆 3.2 重庆
四川 8.4 成都 绵阳 宜宾|贵州 3.9 贵阳 遵义|云南 4.7 昆明 大理|西藏 0.4 拉萨|陕西 4.0 西安 宝鸡
甘肃 2.5 兰州 天水|青海 0.6 西宁|宁夏 0.7 银川|新疆 2.6 乌鲁木齐 喀什
"""


def _provinces() -> tuple[tuple[str, ...], np.ndarray, tuple[tuple[str, ...], ...]]:
    rows = [entry.split() for entry in _PROVINCES.replace("\n", "|").split("|") if entry]
    size = np.array([float(row[1]) for row in rows])
    return tuple(row[0] for row in rows), size / size.sum(), tuple(tuple(row[2:]) for row in rows)


PROVINCES, PROVINCE_SHARE, CITIES = _provinces()

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
)
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂建华文辉力玉兰红宇晨欣怡梓涵子轩思雨嘉琪浩然雅婷志远晓东国庆海燕春梅"
)
_BRANDS = "恒远 瑞丰 华泽 天成 明德 星河 远航 宏图 金桥 绿源 百川 启明 安和 东篱 云帆 新锐 同心 山水 九州 长青".split()
_TRADES = {
    "company": "科技有限公司 贸易有限公司 物流有限公司 餐饮有限公司 制造有限公司 建筑有限公司".split(),
    "government": "市民服务中心 街道办事处 第一中学 人民医院 图书馆 水务局".split(),
    "reseller": "手机店 通讯营业厅 数码店".split(),
    "distributor": "通信渠道有限公司 电子分销有限公司".split(),
}


def names(kinds: np.ndarray, labels: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """Invent a name for each customer; `kinds` are positions in `labels`. Returns text, shape (n,)."""
    n = len(kinds)
    first, second, third = (np.array(list(text)) for text in (_SURNAMES, _GIVEN, _GIVEN))
    one = rng.integers(0, 3, n) == 0
    given = np.char.add(
        second[rng.integers(0, len(second), n)], np.where(one, "", third[rng.integers(0, len(third), n)])
    )
    out = np.char.add(first[rng.integers(0, len(first), n)], given).astype("U16")
    brand = np.array(_BRANDS)[rng.integers(0, len(_BRANDS), n)]
    for kind, trades in _TRADES.items():
        at = np.flatnonzero(kinds == labels.index(kind))
        out[at] = np.char.add(brand[at], np.array(trades)[rng.integers(0, len(trades), len(at))])
    return out
